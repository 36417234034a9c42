# The server as an image: `docker build -t regulars .`, then `docker run -p 8080:8080 -v regulars:/data regulars`.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/regulars && /opt/regulars/bin/pip install --no-cache-dir .

FROM python:3.13-slim
RUN useradd --system --home-dir /data --create-home regulars
COPY --from=build /opt/regulars /opt/regulars
ENV PATH=/opt/regulars/bin:$PATH REGULARS_DATA_DIR=/data/database REGULARS_HOST=0.0.0.0
USER regulars
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/api/health', timeout=4)"]
CMD ["regulars", "serve"]
