// A call for the same directory that is made inside build would wait for itself: it is refused at once.

import { mkdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atomicDirectory, atomicWrite, copyDirectoryAtomic } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, names } from '../helpers/files'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const calls: [what: string, call: (path: string, from: string) => Promise<unknown>][] = [
  ['atomicDirectory', (path) => atomicDirectory(path, () => {})],
  ['copyDirectoryAtomic', (path, from) => copyDirectoryAtomic(from, path)],
]

describe.each(calls)('%s inside build, for the same directory', (_, call) => {
  for (const [when, wait] of [
    ['at once', () => undefined],
    ['later', () => sleep(1)],
  ] as const) {
    test(`is refused ${when}`, async ({ dir }) => {
      const [site, from] = [join(dir, 'site'), join(dir, 'from')]
      mkdirSync(from)
      const error = await rejection(
        atomicDirectory(site, async () => {
          await wait()
          await call(site, from)
        }),
      )
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_REENTRANT', path: site })
      expect(names(dir)).toEqual(['from'])
    })
  }

  test('is done after a build that waits for nothing', async ({ dir }) => {
    const [site, from] = [join(dir, 'site'), join(dir, 'from')]
    mkdirSync(from)
    let later: Promise<unknown> | undefined
    await atomicDirectory(site, () => {
      later = call(site, from)
    })
    await later
    expect(leftovers(dir)).toEqual([])
  })
})

test('files of the new and of the old tree can be written inside build', async ({ dir }) => {
  const site = join(dir, 'site')
  mkdirSync(site)
  await atomicDirectory(site, async (staging) => {
    await atomicWrite(join(staging, 'a'), 'a')
    await atomicWrite(join(site, 'b'), 'b')
    await writeFile(join(staging, 'c'), 'c')
  })
  expect(names(site)).toEqual(['a', 'c'])
})
