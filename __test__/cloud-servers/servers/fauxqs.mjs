// The server of fauxqs, bound to the loopback interface: its own command line listens on all of them.
// `node fauxqs.mjs PORT MODULE`.

import { pathToFileURL } from 'node:url'

const [port, module = ''] = process.argv.slice(2)
const { buildApp } = await import(pathToFileURL(module).href)
await buildApp({ logger: false }).listen({ port: Number(port), host: '127.0.0.1' })
