-- Stores events of sendings of community $1 and updates everything that is counted of them. The events are arrays of
-- sendings $2, hashes of dispatches $3, hashes of event ids $4, event types $5, timestamps $6 and recipients $7 (the
-- nil UUID for none). Rollups have the granularities $8, each from the bucket $9 on (null: all). Returns the row
-- numbers, from 1, of the events that are new.
--
-- An earlier statement locked the sendings. The result depends on which events are stored, not on their order of
-- arrival: masks are combined with OR, timestamps with least().
WITH
-- include: community
-- include: counted_types
-- include: input
-- include: sending_events_record/new_events
-- include: sending_events_record/dispatches
-- include: sending_events_record/recipients
-- include: sending_events_record/rollups
-- include: sending_events_record/daily_uniques
-- include: sending_events_record/counters
SELECT row_no FROM new_events
