-- A dispatch without an id of its own has the id of its recipient as the key; before, it was a hash of the name that
-- events had for the recipient, so that a recipient with two names had two dispatches.

COMMENT ON COLUMN sending_dispatches.dispatch_key_hash IS
    'A hash of the external id of the dispatch; if it has none, the id of the recipient.';

-- Stored dispatches are restated in the background, since PostgreSQL can't compute these hashes.
ALTER TABLE communities ADD COLUMN has_former_dispatch_keys boolean NOT NULL DEFAULT true;
ALTER TABLE communities ALTER COLUMN has_former_dispatch_keys SET DEFAULT false;

COMMENT ON COLUMN communities.has_former_dispatch_keys IS
    'Whether dispatches are stored whose key is a hash of the name of their recipient.';
