# docker build -t imgid-audit . && docker run --rm -v "$PWD:/data" imgid-audit run /data/audit.yaml
FROM python:3.12-slim

RUN apt-get update \
 && apt-get install -y --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY templates templates
COPY imgid_audit imgid_audit
RUN pip install --no-cache-dir -c constraints.txt .

# Audits read untrusted images: run them as nobody in particular.
RUN useradd --create-home auditor
USER auditor
WORKDIR /data
ENTRYPOINT ["imgid-audit"]
CMD ["--help"]
