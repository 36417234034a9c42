-- Which identities members may give themselves.
-- depends: 0016.idempotency_callers

ALTER TABLE communities ADD COLUMN member_handles text[];

COMMENT ON COLUMN communities.member_handles IS
    'The handles of the identities that members may write; null: any but the reserved ones, empty: none.';
