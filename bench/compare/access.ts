// What else there is to a file than its bytes.

import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { toText } from './contenders.mjs'
import { run } from './disk'
import { makeDocument, versionOf } from './document.mjs'
import type { Row } from './row'
import { Worker } from './worker'

const MODE = 0o640
const OWNER = 1234

export const access: Row = {
  when: 'links, rights and attributes',
  method:
    'A path is a symbolic link to a file in another folder, which has the mode 0640, the owner 1234 (where root looks) and an extended attribute ' +
    '(where there is python3). The file is replaced once by that path. What is kept?',
  needs: () => (process.platform === 'linux' ? undefined : 'Linux'),
  async look(contender, { folder }) {
    const [real, path] = [join(folder, 'real', 'index.json'), join(folder, 'index.json')]
    mkdirSync(join(folder, 'real'))
    writeFileSync(real, toText(makeDocument(1, 1)))
    chmodSync(real, MODE)
    const isGiven = giveAway(real)
    const hasAttributes = setAttribute(real)
    symlinkSync(real, path)

    const worker = await Worker.start(contender)
    const { error } = await worker.ask('write', { path, version: 2, bytes: 1 })
    await worker.kill()
    if (error) throw new Error(`${contender}: ${error.message}`)

    const isLink = lstatSync(path).isSymbolicLink() && versionOf(readFileSync(real, 'utf8')) === 2
    const { mode, uid } = statSync(path)
    const kept: Record<string, boolean> = { link: isLink, mode: (mode & 0o7777) === MODE }
    if (isGiven) kept.owner = uid === OWNER
    if (hasAttributes) kept.attribute = getAttribute(path) === 'kept'
    const beside = [folder, join(folder, 'real')].flatMap((one) => readdirSync(one))
    kept['nothing else'] = beside.every((name) => ['real', 'index.json'].includes(name))
    const lost = Object.keys(kept).filter((name) => !kept[name])
    const seen = lost.length === 0 ? 'all kept' : `not kept: ${lost.join(', ')}`
    return { seen, good: lost.length === 0 }
  },
}

/** Gives a file to another owner. `false`: only root may, and not that of a user namespace that has no others. */
function giveAway(path: string): boolean {
  try {
    chownSync(path, OWNER, OWNER)
    return true
  } catch (error) {
    if (!['EPERM', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    return false
  }
}

const python = (line: string, path: string) =>
  run('python3', '-c', `import os, sys\npath = sys.argv[1]\n${line}`, path)

/** Whether it could be set: Node has no function for it, and not every file system has them. */
function setAttribute(path: string): boolean {
  try {
    python("os.setxattr(path, 'user.note', b'kept')", path)
    return true
  } catch {
    return false
  }
}

function getAttribute(path: string): string | undefined {
  try {
    return python("print(os.getxattr(path, 'user.note').decode())", path)
  } catch {
    return undefined
  }
}
