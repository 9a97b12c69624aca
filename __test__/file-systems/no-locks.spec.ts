// Mounts without flock(2).

import { constants } from 'node:os'
import { join } from 'node:path'
import { atomicDirectory, atomicIndexUpdate, atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { onPoorFs } from '../helpers/fuse'
import { needs } from '../helpers/needs'
import { rejection } from '../helpers/promises'

const testFuse = needs('root that may mount FUSE')

describe.each(['ENOSYS', 'EOPNOTSUPP', 'ENOLCK'] as const)('flock(2) is %s', (flock) => {
  testFuse('an update is refused, says what to do, and leaves no lock file', ({ dir }) =>
    onPoorFs(dir, { refuse: { flock } }, async (at, folder) => {
      const update = () => atomicIndexUpdate(join(at, 'index.json'), () => ({}), { initial: {} })
      for (const error of await Promise.all([rejection(update()), rejection(update())])) {
        expect(error).toMatchObject({
          code: 'ERR_ATOMIC_NO_LOCKS',
          syscall: 'flock',
          errno: -constants.errno[flock],
          path: join(at, '.index.json.lock'),
          message: expect.stringMatching(/no locks.*on another file system/),
        })
      }
      expect(names(folder)).toEqual([])
    }),
  )

  testFuse('files and directories are written', ({ dir }) =>
    onPoorFs(dir, { refuse: { flock } }, async (at, folder) => {
      await atomicWrite(join(at, 'a'), 'one')
      await atomicDirectory(join(at, 'site'), () => {})
      expect(names(folder)).toEqual(['a', 'site'])
    }),
  )
})
