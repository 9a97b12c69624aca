// Runs a server for as long as its standard input is open: `node guard.mjs '{ "command", "args", "cwd", "leftovers" }'`.
// The pipe closes when the process that holds it has ended, in whatever way, so no server outlives its test run. Then
// the server is killed (nothing of it is needed any more) and what it has left is removed.

import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'

/** @type {{ command: string, args: string[], cwd: string, leftovers: string[] }} */
const { command, args, cwd, leftovers } = JSON.parse(process.argv[2] ?? '')

const server = spawn(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] })

const end = (/** @type {number} */ code) => {
  for (const path of [cwd, ...leftovers]) rmSync(path, { recursive: true, force: true, maxRetries: 5 })
  process.exit(code)
}
server.on('error', () => end(1))
server.on('exit', (code) => end(code ?? 1))
process.stdin.resume().on('close', () => server.kill('SIGKILL'))
