// A registry on this machine, with the packages as they are published.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

/** Anyone may publish to it, and it knows no other registry. */
const configuration = `storage: ./storage
uplinks: {}
packages:
  '**': { access: $all, publish: $all }
max_body_size: 100mb
web: { enable: false }
log: { type: stdout, format: json, level: warn }
`

/** Starts verdaccio in `folder`; `stop` ends it, and nothing else. */
export async function startRegistry(node: string, tools: string, folder: string) {
  mkdirSync(folder, { recursive: true })
  const config = join(folder, 'config.yaml')
  writeFileSync(config, configuration)
  const address = `127.0.0.1:${await freePort()}`
  const script = join(tools, 'node_modules/verdaccio/bin/verdaccio')
  const server = spawn(node, [script, '--config', config, '--listen', address], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const hear = (chunk: Buffer) => {
      output += chunk
      if (output.includes('http address')) resolve()
    }
    server.stdout.on('data', hear)
    server.stderr.on('data', hear)
    server.on('error', reject)
    server.on('exit', () => reject(new Error(`the registry ended:\n${output}`)))
  })
  const ended = once(server, 'exit')
  return {
    url: `http://${address}/`,
    async stop() {
      server.kill()
      await ended
    },
  }
}
