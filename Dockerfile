# One image for everything: its command is a service's name, or what the command line `hivebus` takes.
#   docker build -t hivebus . && docker run --rm hivebus --help
FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM packages AS build
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY libs libs
COPY services services
COPY cli cli
COPY examples examples
COPY deploy deploy
# Typings, source maps and tests are of no use in a container.
RUN node node_modules/typescript/bin/tsc -p . --declaration false --sourceMap false --incremental false \
 && find dist -name '*.test.js' -delete && rm -rf dist/libs/testkit

FROM node:24-bookworm-slim
ENV NODE_ENV=production HIVEBUS_HOME=/var/lib/hivebus
WORKDIR /app
# A new named volume takes the owner of the folder that it is mounted on.
RUN ln -s /app/bin/hivebus /usr/local/bin/hivebus \
 && cd / && mkdir -p var/lib/hivebus run/hivebus/service run/hivebus/client run/hivebus/operators \
 run/hivebus/operator run/hivebus/nats run/hivebus/redis run/hivebus/grafana \
 && chown -R node:node var/lib/hivebus run/hivebus
COPY package.json ./
COPY bin bin
COPY deploy/docker/entrypoint.sh deploy/docker/ready.sh /usr/local/bin/
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist dist
USER node
ENTRYPOINT ["entrypoint.sh"]
CMD ["--help"]
