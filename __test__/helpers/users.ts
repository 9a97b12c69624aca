// Permissions do not stop root: where they matter, a test that root runs starts processes of another user.

import { spawnSync } from 'node:child_process'
import { chownSync } from 'node:fs'
import { inject } from 'vitest'

export const isRoot = process.getuid?.() === 0

/** A user that owns nothing here. */
export const NOBODY = 65534

/** Options of a process without privileges. */
export const unprivileged = isRoot ? { uid: NOBODY } : {}

/** Makes the user of such a process the owner of `path`. */
export function giveAway(path: string): void {
  if (isRoot) chownSync(path, NOBODY, NOBODY)
}

const runsAsNobody = (script: string) =>
  spawnSync(process.execPath, ['-e', script], { cwd: '/', uid: NOBODY, gid: NOBODY }).status === 0

/** Node itself may lie in a folder that is private to its user. */
export const canRunNode = () => runsAsNobody('')

export const canLoadAddon = () => runsAsNobody(`require(${JSON.stringify(inject('addon'))})`)
