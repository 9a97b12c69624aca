// A mount namespace of our own: what is mounted in it no other process sees, and the kernel takes it down when the
// last process in it ends, however that comes about.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'

/**
 * Runs this program again in a mount namespace of its own, with `env` added, and resolves with its exit code.
 * `undefined` where the system allows no such namespace.
 */
export async function runInNamespace(env: NodeJS.ProcessEnv): Promise<number | undefined> {
  if (process.platform !== 'linux') return undefined
  // An ordinary user may mount in a namespace in which they are root, where the system allows one.
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
  const unshare = [...user, '--mount', '--propagation', 'private']
  if (spawnSync('unshare', [...unshare, 'true']).status !== 0) return undefined
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const child = spawn('unshare', [...unshare, ...self], { env: { ...process.env, ...env }, stdio: 'inherit' })
  // Ctrl-C reaches the child too: what is left to do here is done when it has ended.
  process.on('SIGINT', () => {})
  const [code] = await once(child, 'exit')
  return code ?? 1
}
