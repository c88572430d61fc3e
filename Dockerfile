# CPU only, without a display: docker build -t fer-lightning . && docker run fer-lightning --help
# Data and runs stay outside: -v /data/RAF-DB:/data:ro -v "$PWD/runs":/work/runs
FROM python:3.11-slim
# Git tells the commit at build time; OpenCV's wheel with windows links these two libraries.
RUN apt-get update && apt-get install -y --no-install-recommends git libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The CPU build of torch has the higher version of the two; that of PyPI brings CUDA.
RUN pip install --no-cache-dir -c constraints.txt '.[export]' \
    --extra-index-url https://download.pytorch.org/whl/cpu
# Whoever runs it owns what it writes: docker run --user "$(id -u)".
WORKDIR /work
ENV HOME=/tmp
ENTRYPOINT ["lightning"]
