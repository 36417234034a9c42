#!/bin/sh
# Creates the roles and the database of docs/deployment.md when the container of PostgreSQL starts for the first time.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set owner_password="$OWNER_PASSWORD" \
    --set app_password="$APP_PASSWORD" \
    --set backup_password="$BACKUP_PASSWORD" <<'SQL'
CREATE ROLE regulars_owner LOGIN PASSWORD :'owner_password' NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
CREATE ROLE regulars_app LOGIN PASSWORD :'app_password' NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
CREATE ROLE regulars_backup LOGIN PASSWORD :'backup_password' NOSUPERUSER BYPASSRLS NOCREATEDB NOCREATEROLE;
CREATE DATABASE regulars OWNER regulars_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE regulars FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE regulars TO regulars_app;
GRANT CONNECT ON DATABASE regulars TO regulars_backup;
GRANT pg_read_all_data TO regulars_backup;
ALTER ROLE regulars_backup SET default_transaction_read_only = on;
SQL
