-- $1 the community: the columns that the filters ask for, and no others, as short as they can be.
CREATE TABLE narrow AS
SELECT members.community_id, members.gender, members.country, members.subunit_ids, members.consents_true,
       profile_aggregations.dimension_recency, profile_aggregations.spend_all
FROM members
JOIN profile_aggregations USING (community_id, profile_id)
WHERE members.community_id = $1 AND members.is_member
