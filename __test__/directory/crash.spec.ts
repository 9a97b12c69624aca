import { execFileSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atomicDirectory } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { inProcess, inThread } from '../helpers/elsewhere'
import { leftovers, openBelow, tempName } from '../helpers/files'
import { eventually, NOBODY, names, test } from '../helpers/index-file'
import { mounted, needs, tmpfs } from '../helpers/needs'
import { addon, plant, treeOf } from '../helpers/site'

/** A process that replaces `dir/site` again and again; every file of a version holds its number. */
const endless = (dir: string, options: object) =>
  inProcess(
    async ({ require, tell }, addon, dir, options) => {
      const fs = require('node:fs')
      for (let version = 1; ; version++) {
        await require(addon).atomicDirectory(
          `${dir}/site`,
          (staging: string) => {
            for (let i = 0; i < 40; i++) {
              fs.mkdirSync(`${staging}/${i % 7}/deep`, { recursive: true })
              fs.writeFileSync(`${staging}/${i % 7}/deep/${i}`, `${version}`)
            }
          },
          options,
        )
        if (version === 1) tell('started')
      }
    },
    [addon, dir, options],
  )

/** The version of a complete tree. */
function versionOf(dir: string): string {
  const texts = Object.values(treeOf(dir))
  expect(texts).toHaveLength(40)
  expect(new Set(texts).size).toBe(1)
  return texts[0] as string
}

/** A process that starts afresh and works in `dir`, for long enough to sweep. */
async function nextProcess(dir: string, options: { uid?: number } = {}): Promise<void> {
  const next = inProcess(
    async ({ atomicWrite, require }, dir) => {
      await atomicWrite(`${dir}/file`, 'x')
      const trees = () =>
        require('node:fs')
          .readdirSync(dir)
          .filter((name: string) => name.endsWith('-tmp'))
      for (let i = 0; i < 20 && trees().length > 0; i++) await new Promise((done) => setTimeout(done, 25))
    },
    [dir],
    options,
  )
  await next.returned.catch(() => {})
}

describe('kill -9 at any moment', () => {
  for (const options of [{}, { keepPrevious: true }, { flush: false }]) {
    test(`leaves a complete tree under the name, with ${JSON.stringify(options)}`, async ({ dir }) => {
      let left = 0
      for (let i = 0; i < 12; i++) {
        const builder = endless(dir, options)
        await builder.next()
        await sleep(Math.random() * 60)
        builder.kill('SIGKILL')
        await builder.exit
        versionOf(join(dir, 'site'))
        if (existsSync(join(dir, 'site.previous'))) versionOf(join(dir, 'site.previous'))
        left += leftovers(dir).length
        const known = ['site', 'site.previous']
        const strange = names(dir).filter(
          (name) => !known.includes(name) && !/\.atomic-(tmp|old)$/.test(name),
        )
        expect(strange).toStrictEqual([])
      }
      expect(left).toBeGreaterThan(0)
      await nextProcess(dir)
      expect(leftovers(dir)).toStrictEqual([])
    })
  }

  needs('strace that may attach')(
    'before and after each rename leaves a tree that was there',
    async ({ dir }) => {
      plant(join(dir, 'site'), { v: 'old' })
      const killed = (when: number, keepPrevious: boolean) =>
        inProcess(
          ({ require }, addon, site, keepPrevious) =>
            require(addon).atomicDirectory(
              site,
              (staging: string) => require('node:fs').writeFileSync(`${staging}/v`, 'new'),
              { keepPrevious },
            ),
          [addon, join(dir, 'site'), keepPrevious],
          { before: `set -- strace -f -qq -o /dev/null -e inject=renameat2:signal=KILL:when=${when} "$@"` },
        ).exit
      for (const keepPrevious of [false, true]) {
        for (let when = 1; when < 6; when++) {
          const { code } = await killed(when, keepPrevious)
          const [site, all] = [treeOf(join(dir, 'site')), JSON.stringify(treeOf(dir))]
          expect(site.v).toMatch(/old|new/)
          // With keepPrevious the version before is still somewhere, under a name that no sweep takes.
          if (keepPrevious && site.v === 'new')
            expect(all.replace(/"\.\w+\.\w{12}\.atomic-tmp.*?"/g, '')).toMatch(/:"old"/)
          if (code === 0) break
          expect(when, 'the probe, the renames: no more than that').toBeLessThan(5)
        }
        execFileSync('sh', ['-c', 'rm -rf "$1"/site* "$1"/.site*', 'sh', dir])
        plant(join(dir, 'site'), { v: 'old' })
      }
    },
  )
})

describe('the next process that works in the directory', () => {
  test('sweeps a tree whose builder is dead, however deep, and nothing that links in it lead to', async ({
    dir,
  }) => {
    plant(dir, { 'outside/precious': 'x' })
    const orphan = join(dir, tempName('site'))
    plant(orphan, { 'a/b/c/file': 'x', 'empty/': '', link: '->../outside', 'a/up': '->../../outside' })
    let deep = orphan
    for (let i = 0; i < 60; i++) deep = join(deep, 'deeper')
    mkdirSync(deep, { recursive: true })
    symlinkSync(join(dir, 'outside'), join(deep, 'out'))
    await nextProcess(dir)
    expect(treeOf(dir)).toStrictEqual({ file: 'x', 'outside/precious': 'x' })
  })

  test('leaves the tree of a builder that lives', async ({ dir }) => {
    const builder = inProcess(
      ({ require, tell, hear }, addon, site) =>
        require(addon).atomicDirectory(site, async (staging: string) => {
          require('node:fs').writeFileSync(`${staging}/file`, 'x')
          const goOn = hear()
          tell(staging)
          await goOn
        }),
      [addon, join(dir, 'site')],
    )
    const staging: string = await builder.next()
    await nextProcess(dir)
    expect(names(staging)).toStrictEqual(['file'])
    builder.say('go on')
    expect(await builder.returned).toMatchObject({ files: 1 })
    expect(treeOf(dir)).toStrictEqual({ file: 'x', 'site/file': 'x' })
  })

  needs('linux', 'root')('leaves a tree that another user owns', async ({ dir }) => {
    execFileSync('chmod', ['777', dir])
    plant(join(dir, tempName('site')), { file: 'x' })
    await nextProcess(dir, { uid: NOBODY })
    expect(leftovers(dir)).toContain(tempName('site'))
    // Root does so where everybody may leave things.
    chownSync(join(dir, tempName('site')), NOBODY, NOBODY)
    execFileSync('chmod', ['1777', dir])
    await nextProcess(dir)
    expect(leftovers(dir)).toContain(tempName('site'))
    execFileSync('chmod', ['755', dir])
    await nextProcess(dir)
    expect(leftovers(dir)).toStrictEqual([])
  })

  needs('root that may mount')('does not go into what is mounted in it', async ({ dir }) => {
    const orphan = join(dir, tempName('site'))
    plant(orphan, { file: 'x' })
    await mounted(join(orphan, 'disk'), tmpfs('1m'), async (disk) => {
      plant(disk, { precious: 'x' })
      await nextProcess(dir)
      expect(treeOf(orphan)).toStrictEqual({ 'disk/precious': 'x' })
    })
    plant(join(dir, 'data'), { precious: 'x' })
    await mounted(join(orphan, 'bound'), ['--bind', join(dir, 'data')], async () => {
      await nextProcess(dir)
      expect(treeOf(join(dir, 'data'))).toStrictEqual({ precious: 'x' })
    })
  })

  test('is not held up by a large one', async ({ dir }) => {
    for (let i = 0; i < 20; i++) {
      const files = Array.from({ length: 500 }, (_, j) => [`${i}/${j}`, ''])
      plant(join(dir, tempName('site')), Object.fromEntries(files))
    }
    const writer = inProcess(
      async ({ atomicWrite, require }, dir) => {
        await atomicWrite(`${dir}/file`, 'x')
        return require('node:fs').readdirSync(dir).length
      },
      [dir],
    )
    expect(await writer.returned).toBe(2)
  })
})

describe('a builder that goes away', () => {
  const building = async ({ require, tell }: any, addon: string, site: string) => {
    await require(addon).atomicDirectory(site, (staging: string) => {
      require('node:fs').writeFileSync(`${staging}/file`, 'x')
      tell('building')
      return new Promise(() => setInterval(() => {}, 1000))
    })
  }

  test('as a terminated worker has its tree removed, and lets the next call go on', async ({ dir }) => {
    for (let round = 0; round < 3; round++) {
      const worker = inThread(building, [addon, join(dir, 'site')])
      await worker.next()
      const next = atomicDirectory(join(dir, 'site'), (staging) => plant(staging, { v: `${round}` }))
      await worker.terminate()
      await next
      expect(await eventually(() => names(dir).join() === 'site'), names(dir).join()).toBe(true)
    }
    if (process.platform === 'linux') {
      expect(await eventually(() => openBelow(dir).length === 0), openBelow(dir).join()).toBe(true)
    }
  })

  test('as a process that exits leaves at most its own tree, which the next one sweeps', async ({ dir }) => {
    plant(join(dir, 'site'), { v: 'old' })
    const child = inProcess(
      ({ require }, addon, site) =>
        require(addon).atomicDirectory(site, (staging: string) => {
          require('node:fs').writeFileSync(`${staging}/file`, 'x')
          process.exit(7)
        }),
      [addon, join(dir, 'site')],
    )
    expect(await child.exit).toMatchObject({ code: 7, signal: null, stderr: '' })
    expect(names(dir).filter((name) => !leftovers(dir).some((left) => left.startsWith(name)))).toStrictEqual([
      'site',
    ])
    await nextProcess(dir)
    expect(treeOf(dir)).toStrictEqual({ file: 'x', 'site/v': 'old' })
  })

  test('does not keep a process alive once it is done', async ({ dir }) => {
    const child = inProcess(
      async ({ require }, addon, site) => {
        for (let i = 0; i < 3; i++) await require(addon).atomicDirectory(site, () => {})
      },
      [addon, join(dir, 'site')],
    )
    expect(await child.exit).toMatchObject({ code: 0, stderr: '' })
  })
})
