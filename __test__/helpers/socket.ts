// Sockets with a path, which has at most about a hundred bytes: that of a temporary folder can be longer.

import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { basename, dirname, join } from 'node:path'

/** macOS has 104 bytes for it, Linux 108. */
const MOST = 100

/** Makes a socket at `path`, which goes when it is closed. */
export async function socketAt(path: string): Promise<Server> {
  const server = createServer()
  let short = path
  if (Buffer.byteLength(path) > MOST) {
    const folder = mkdtempSync('/tmp/atomic-')
    server.once('close', () => rmSync(folder, { recursive: true }))
    symlinkSync(dirname(path), join(folder, 'dir'))
    short = join(folder, 'dir', basename(path))
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(short, resolve)
  })
  return server
}
