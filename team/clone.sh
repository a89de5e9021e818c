#!/bin/sh
# Have the team's repository in $DEGRAIN_PROJECT at its newest commit, and the team's S3 as its DVC remote; then run a
# command there. No branch is checked out, so that runs can publish to any.
set -eu
: "${DEGRAIN_REPOSITORY:?set it to the address of the team\'s git repository, which takes pushes}"
cd "$DEGRAIN_PROJECT"
if [ -d .git ]; then
    git remote set-url origin "$DEGRAIN_REPOSITORY"
    git fetch --quiet origin
else
    git clone --quiet --no-checkout "$DEGRAIN_REPOSITORY" .
fi
git checkout --quiet --detach "origin/$DEGRAIN_BRANCH"
git config user.name "degrain on $(uname -n)"
git config user.email degrain@localhost
# The keys stay in the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY.
dvc remote add --quiet --local --force --default team "s3://$DEGRAIN_DVC_BUCKET"
dvc remote modify --quiet --local team endpointurl "$AWS_ENDPOINT_URL_S3"
exec "$@"
