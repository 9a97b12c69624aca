// Mounts without link(2) and without RENAME_NOREPLACE, as of object stores.

import { readFileSync, statSync, writeFileSync, chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { AtomicFile, atomicDirectory, atomicIndexUpdate, atomicWrite, atomicWriteAll } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { onPoorFs, type Poverty } from '../helpers/fuse'
import { needs } from '../helpers/needs'
import { rejection } from '../helpers/promises'

const testFuse = needs('root that may mount FUSE')
const refuse = (link: 'EPERM' | 'ENOSYS' | 'EOPNOTSUPP' | 'EMLINK'): Poverty => ({
  refuse: { link, 'rename-flags': 'EINVAL' },
})

describe.each(['EPERM', 'ENOSYS', 'EOPNOTSUPP', 'EMLINK'] as const)('link(2) answers %s', (code) => {
  testFuse('a new file gets its name by a plain rename', ({ dir }) =>
    onPoorFs(dir, refuse(code), async (at, folder) => {
      await atomicWrite(join(at, 'a'), 'one')
      await atomicWrite(join(at, 'a'), 'two')
      expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('two')
      expect(names(folder)).toEqual(['a'])
    }),
  )
})
