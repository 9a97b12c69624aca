// Directories of a container's image: an overlay cannot rename what comes of a lower layer.

import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { atomicDirectory } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { mounted, needs, tmpfs } from '../helpers/needs'
import { rejection } from '../helpers/promises'
import { plant, type Tree, treeOf } from '../helpers/trees'

const testOverlay = needs('root that may mount')

/** An overlay over a layer with `image`. */
const overlaid = (dir: string, image: Tree, options: string, body: (root: string) => Promise<void>) =>
  mounted(join(dir, 'disk'), tmpfs('8m'), async (disk) => {
    const [lower, upper, work] = ['lower', 'upper', 'work'].map((name) => join(disk, name))
    for (const layer of [lower, upper, work]) mkdirSync(layer as string)
    plant(lower as string, image)
    const layers = `lowerdir=${lower},upperdir=${upper},workdir=${work}${options}`
    await mounted(join(dir, 'root'), ['-t', 'overlay', '-o', layers, 'overlay'], body)
  })

const never = () => {
  throw new Error('build was called')
}

const build = (staging: string) => plant(staging, { 'a/new': 'new' })

const image = { 'app/dist/a/old': 'image', 'app/dist.previous/older': 'image' }

describe('a directory of the image', () => {
  for (const options of [{}, { fallback: 'rename' as const }]) {
    testOverlay(
      `is refused before build, whatever fallback is: ${JSON.stringify(options)}`,
      async ({ dir }) => {
        await overlaid(dir, image, '', async (root) => {
          const error = await rejection(atomicDirectory(join(root, 'app', 'dist'), never, options))
          expect(error).toMatchObject({ code: 'ERR_ATOMIC_NO_EXCHANGE', path: join(root, 'app', 'dist') })
          expect(error.message).toMatch(/mount a volume at its parent directory, or remove it/)
          expect(error.message).not.toContain('fallback')
          expect(treeOf(root)).toStrictEqual(image)
          expect(names(join(root, 'app'))).toStrictEqual(['dist', 'dist.previous'])
        })
      },
    )
  }

  testOverlay('that was changed at run time is refused as well', async ({ dir }) => {
    await overlaid(dir, image, '', async (root) => {
      plant(join(root, 'app', 'dist'), { changed: 'x' })
      const error = await rejection(atomicDirectory(join(root, 'app', 'dist'), never))
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_NO_EXCHANGE' })
    })
  })

  testOverlay('is replaced when it was removed and made anew, as the error says', async ({ dir }) => {
    await overlaid(dir, image, '', async (root) => {
      const dist = join(root, 'app', 'dist')
      rmSync(dist, { recursive: true })
      await atomicDirectory(dist, build)
      await atomicDirectory(dist, build)
      expect(treeOf(dist)).toStrictEqual({ 'a/new': 'new' })
    })
  })

  testOverlay('is replaced where the overlay can rename it', async ({ dir }) => {
    await overlaid(dir, image, ',redirect_dir=on', async (root) => {
      await atomicDirectory(join(root, 'app', 'dist'), build, { keepPrevious: true })
      expect(treeOf(join(root, 'app'))).toStrictEqual({ 'dist/a/new': 'new', 'dist.previous/a/old': 'image' })
    })
  })

  testOverlay('is no place for the old tree', async ({ dir }) => {
    await overlaid(dir, image, '', async (root) => {
      const dist = join(root, 'app', 'dist')
      execFileSync('rm', ['-r', dist])
      await atomicDirectory(dist, build)
      const error = await rejection(atomicDirectory(dist, never, { keepPrevious: true }))
      expect(error).toMatchObject({
        code: 'ERR_ATOMIC_NO_EXCHANGE',
        path: join(root, 'app', 'dist.previous'),
      })
      expect(treeOf(dist)).toStrictEqual({ 'a/new': 'new' })
    })
  })
})

describe('a directory that was made at run time', () => {
  testOverlay('in one of the image is replaced', async ({ dir }) => {
    await overlaid(dir, image, '', async (root) => {
      const made = join(root, 'app', 'made')
      await atomicDirectory(made, build)
      await atomicDirectory(made, (staging) => plant(staging, { second: 'x' }), { keepPrevious: true })
      expect([treeOf(made), treeOf(`${made}.previous`)]).toStrictEqual([{ second: 'x' }, { 'a/new': 'new' }])
    })
  })
})
