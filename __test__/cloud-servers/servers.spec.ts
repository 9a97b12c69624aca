// Servers of a test run do not outlive it, however it ends.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { until } from '../helpers/promises'

const start = join(import.meta.dirname, 'servers/start.mjs')

/** A process that starts a server, tells where, and goes on. */
async function runner() {
  const code = `
    import { startServer } from ${JSON.stringify(start)}
    const script = 'process.title = "server"; require("node:http").createServer((_, response) =>' +
      'response.end(JSON.stringify({ pid: process.pid, dir: process.cwd() }))).listen(process.argv[1], "127.0.0.1")'
    const { url } = await startServer({
      ports: 1,
      command: (_, [port]) => ({ command: process.execPath, args: ['-e', script, String(port)] }),
    })
    process.send(url)
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const [url] = await once(child, 'message')
  const { pid, dir } = (await (await fetch(url)).json()) as { pid: number; dir: string }
  return { child, pid, dir }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)(
  'after %s to the run the server ends and its folder is gone',
  async (signal) => {
    const { child, pid, dir } = await runner()
    expect(existsSync(dir)).toBe(true)
    child.kill(signal)
    await until(() => !runs(pid) && !existsSync(dir))
  },
)
