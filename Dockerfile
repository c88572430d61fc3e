# CPU only, without a display: docker build -t fer-lightning . && docker run fer-lightning --help
# Data and runs stay outside: -v /data/RAF-DB:/data:ro -v "$PWD/runs":/fer/runs
FROM python:3.11-slim
# Git tells the commit at build time; OpenCV's wheel with windows links these two libraries.
RUN apt-get update && apt-get install -y --no-install-recommends git libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# PyPI's torch brings CUDA: name the index of PyTorch's CPU wheels by
# --build-arg PIP_EXTRA_INDEX_URL=..., whose version is the higher one of the two.
ARG PIP_EXTRA_INDEX_URL
RUN pip install --no-cache-dir -c constraints.txt '.[export]'
# Whoever runs it owns what it writes, `.cache` beside the runs: docker run --user "$(id -u)".
WORKDIR /fer
RUN chmod a+rwx /fer
ENV HOME=/tmp
ENTRYPOINT ["lightning"]
