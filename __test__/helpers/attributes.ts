// Extended attributes, for which Node has no function.

import { execFileSync } from 'node:child_process'
import { ALONE, interpreter } from './python'
import { NOBODY } from './users'

/** Runs a line of Python with `os`, `struct` and the path. */
export const python = (line: string, path: string) =>
  execFileSync(interpreter(), [...ALONE, '-c', `import os, struct, sys\npath = sys.argv[1]\n${line}`, path])
    .toString()
    .trim()

/** `value` is Python. */
export const setAttribute = (path: string, name: string, value: string) =>
  python(`os.setxattr(path, ${JSON.stringify(name)}, ${value})`, path)

/** All of them, for comparing. */
export const attributes = (path: string) =>
  python('print(sorted((name, os.getxattr(path, name).hex()) for name in os.listxattr(path)))', path)

/** POSIX ACL entries (tag, permissions, id) in the kernel's form. */
const acl = (...entries: [number, number, number][]) =>
  `struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in ${JSON.stringify(entries)})`

export const NOBODY_MAY_READ = acl(
  [1, 6, -1 >>> 0],
  [2, 4, NOBODY],
  [4, 4, -1 >>> 0],
  [16, 4, -1 >>> 0],
  [32, 0, -1 >>> 0],
)
export const NOBODY_MAY_WRITE = acl(
  [1, 6, -1 >>> 0],
  [2, 6, NOBODY],
  [4, 6, -1 >>> 0],
  [16, 6, -1 >>> 0],
  [32, 0, -1 >>> 0],
)
