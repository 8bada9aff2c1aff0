#!/bin/sh
# Installs the service into a new virtual environment: deploy/install.sh api|worker FOLDER
#
# TORCH_INDEX_URL  where the worker's torch and torchvision come from, e.g. https://download.pytorch.org/whl/cpu for hosts without a GPU;
#                  empty: the default index, whose torch for Linux on x86-64 brings CUDA with it
# PYTHON           the interpreter (python3)
set -eu

extra=${1:?api or worker}
venv=${2:?the folder of the new virtual environment}
cd "$(dirname "$0")/.."

install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check --constraint constraints.txt "$@"
}

"${PYTHON:-python3}" -m venv "$venv"
if [ "$extra" = worker ] && [ -n "${TORCH_INDEX_URL:-}" ]; then
    # Alone from that index: everything else, torch's own dependencies too, comes from the default one.
    install --no-deps --index-url "$TORCH_INDEX_URL" torch torchvision
fi
case $extra in
    api) extra=api,tracing,flower ;;
    worker) extra=worker,timm,onnx,transformers,tracing ;; # whatever a spec may name
esac
install ".[$extra]"
