#!/usr/bin/env bash
# keras_applications.sh ENVIRONMENT SOURCE ARGUMENT...: check_keras_applications.py with the Python of keras_environment.sh;
# a skip where it is not there.
set -euo pipefail

environment=$1
source=$2
shift 2
# Written last: where PyPI has no Keras for this Python, there is an environment without it.
if [[ ! -f $environment/.packages ]]; then
    echo "there is no Keras in $environment: scripts/keras_environment.sh makes it"
    exit 77
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$environment/bin/python" "$source/scripts/check_keras_applications.py" "$@"
