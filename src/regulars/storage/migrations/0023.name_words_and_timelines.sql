-- Members are found by the words of their names, cards and receipts, and their events are read in the order of time.

-- The words of the names of active profiles, in lower case without accents. Each word has a row with every other word
-- of the same name, so that any two words, in any order, are one range of the key. A name of one word has an empty
-- other one.
CREATE TABLE profile_name_words (
    community_id  int NOT NULL,
    word          text COLLATE "C" NOT NULL,
    other_word    text COLLATE "C" NOT NULL,
    profile_id    uuid NOT NULL
);

-- The key is created last: without statistics the planner takes the newest of equally good indexes.
CREATE INDEX profile_name_words_by_profile ON profile_name_words (community_id, profile_id);
ALTER TABLE profile_name_words ADD PRIMARY KEY (community_id, word, other_word, profile_id);

-- The words of profiles that are stored already are written with their normalization.
ALTER TABLE communities NO FORCE ROW LEVEL SECURITY;
UPDATE communities SET has_unnormalized_profiles = true;

CREATE INDEX identities_by_value ON identities (community_id, identifier) WHERE identifier IS NOT NULL;

-- Receipts of members; transactions_unassigned has the others.
CREATE INDEX transactions_by_receipt ON transactions (community_id, receipt_ref, transacted_at)
    WHERE receipt_ref IS NOT NULL AND profile_id IS NOT NULL;

-- Dispatches are read newest first from the index alone.
CREATE INDEX sending_dispatches_of_profile ON sending_dispatches (community_id, profile_id, sending_id)
    INCLUDE (transmitted_at, id) WHERE profile_id IS NOT NULL;
DROP INDEX sending_dispatches_by_profile;
ALTER INDEX sending_dispatches_of_profile RENAME TO sending_dispatches_by_profile;

DROP INDEX offer_events_by_profile;
CREATE INDEX offer_events_by_profile ON offer_events (community_id, profile_id, occurred_at)
    WHERE profile_id IS NOT NULL;

DROP INDEX link_visits_by_visitor;
CREATE INDEX link_visits_by_visitor ON link_visits (community_id, visitor_no, visited_at) WHERE visitor_no IS NOT NULL;
