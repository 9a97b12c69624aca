// Azurite with a container, for the specs and for the demo of the pipeline.

import { createHmac } from 'node:crypto'
import { installed, installNode } from './install.mjs'
import { expectOk, startServer } from './start.mjs'

/** They are the same everywhere, and public. */
const ACCOUNT = 'devstoreaccount1'
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='

/**
 * @param {string} container
 * @param {string} [host] the address that it listens on; the loopback interface by default
 * @returns {Promise<{ missing: string } |
 *   { endpoint: string, env: Record<string, string>, secret: string, stop(): Promise<void> }>} how a client reaches it, or
 *   why it cannot be had
 */
export async function startAzurite(container, host = '127.0.0.1') {
  const missing = await installNode()
  if (missing) return { missing }
  const server = await startServer({
    ports: 1,
    host,
    command: (_, [port]) => ({
      command: process.execPath,
      args: [
        ...[installed.azurite, '--blobHost', host, '--blobPort', `${port}`],
        // Clients of today name versions of the interface that this one does not know.
        ...['--inMemoryPersistence', '--disableTelemetry', '--skipApiVersionCheck', '--silent'],
      ],
    }),
  })
  const path = `/${ACCOUNT}/${container}`
  const headers = { 'x-ms-date': new Date().toUTCString(), 'x-ms-version': '2021-08-06' }
  const toSign = [
    ...['PUT', '', '', '', '', '', '', '', '', '', '', ''],
    ...Object.entries(headers).map(([name, value]) => `${name}:${value}`),
    ...[`/${ACCOUNT}${path}`, 'restype:container'],
  ]
  const authorization = `SharedKey ${ACCOUNT}:${sign(toSign)}`
  const request = { method: 'PUT', headers: { ...headers, authorization } }
  await expectOk(`${server.url}${path}?restype=container`, request)
  const env = {
    AZURE_STORAGE_ACCOUNT_NAME: ACCOUNT,
    AZURE_STORAGE_ACCOUNT_KEY: KEY,
    AZURE_ALLOW_HTTP: 'true',
  }
  return { endpoint: `${server.url}/${ACCOUNT}`, env, secret: KEY, stop: server.stop }
}

/** The signature of these lines. */
function sign(/** @type {string[]} */ lines) {
  return createHmac('sha256', Buffer.from(KEY, 'base64')).update(lines.join('\n')).digest('base64')
}
