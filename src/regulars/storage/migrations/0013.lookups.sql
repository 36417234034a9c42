-- Keeps look-ups by key off other indexes that begin with the community.
-- depends: 0012.providers
--
-- Of a community that is new the planner knows nothing, and takes it for one row: any index that begins with it then
-- seems as good as the key, and a look-up by one of those others reads all of the community. Each use of these implies
-- its condition; a look-up by the key does not.
DROP INDEX profiles_by_member_id;
CREATE UNIQUE INDEX profiles_by_member_id ON profiles (community_id, member_id) WHERE member_id IS NOT NULL;

DROP INDEX profiles_by_external_id;
CREATE UNIQUE INDEX profiles_by_external_id ON profiles (community_id, external_id) WHERE external_id IS NOT NULL;

DROP INDEX members_changed;
CREATE INDEX members_changed ON members (community_id, transaction_id) WHERE transaction_id IS NOT NULL;

DROP INDEX aggregations_by_epoch;
CREATE INDEX aggregations_by_epoch ON aggregations (community_id, values_epoch) WHERE values_epoch IS NOT NULL;

DROP INDEX transactions_by_external_id;
CREATE UNIQUE INDEX transactions_by_external_id ON transactions (community_id, external_id)
    WHERE external_id IS NOT NULL;

DROP INDEX locations_by_external_code;
CREATE INDEX locations_by_external_code ON locations (community_id, external_code) WHERE external_code IS NOT NULL;

-- Others of purchases are read without a condition too. Of those that seem as good the planner takes what was made last.
CREATE UNIQUE INDEX purchases_by_id ON purchases (community_id, id);
ALTER TABLE purchases DROP CONSTRAINT purchases_pkey;
ALTER TABLE purchases ADD CONSTRAINT purchases_pkey PRIMARY KEY USING INDEX purchases_by_id;

DROP INDEX sendings_by_external_id;
CREATE UNIQUE INDEX sendings_by_external_id ON sendings (community_id, external_id) WHERE external_id IS NOT NULL;

DROP INDEX links_by_key;
CREATE UNIQUE INDEX links_by_key ON links (community_id, key) WHERE key IS NOT NULL;

DROP INDEX offers_by_external_id;
CREATE UNIQUE INDEX offers_by_external_id ON offers (community_id, external_id) WHERE external_id IS NOT NULL;

DROP INDEX offer_events_by_offer;
CREATE INDEX offer_events_by_offer ON offer_events (community_id, offer_id, event, at)
    INCLUDE (profile_id, location_id) WHERE event IS NOT NULL;
