import { execFileSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atomicDirectory } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { untilClosed } from '../helpers/descriptors'
import { leftovers, names, tempName } from '../helpers/files'
import { mounted, needs, OTHER_USER, tmpfs } from '../helpers/needs'
import { inProcess, inThread, inWorker, type Remote } from '../helpers/processes'
import { until } from '../helpers/promises'
import { test } from '../helpers/test'
import { plant, treeOf } from '../helpers/trees'
import { giveAway, isRoot, NOBODY, unprivileged } from '../helpers/users'

/** A process that replaces `dir/site` again and again; every file of a version holds its number. */
const endless = (dir: string, options: object) =>
  inProcess(
    async ({ atomicDirectory, require, send }, dir, options) => {
      const fs = require('node:fs')
      for (let version = 1; ; version++) {
        await atomicDirectory(
          `${dir}/site`,
          (staging: string) => {
            for (let i = 0; i < 40; i++) {
              fs.mkdirSync(`${staging}/${i % 7}/deep`, { recursive: true })
              fs.writeFileSync(`${staging}/${i % 7}/deep/${i}`, `${version}`)
            }
          },
          options,
        )
        if (version === 1) send('started')
      }
    },
    [dir, options],
  )

/** The version of a complete tree. */
function versionOf(dir: string): string {
  const texts = Object.values(treeOf(dir))
  expect(texts).toHaveLength(40)
  expect(new Set(texts).size).toBe(1)
  return texts[0] as string
}

/** A process that starts afresh and works in `dir`, and has swept it when it ends. */
async function nextProcess(dir: string, options: { uid?: number } = {}): Promise<void> {
  const next = inProcess(
    async ({ atomicWrite, require, until }, dir, orphan) => {
      const fs = require('node:fs') as typeof import('node:fs')
      // Orphaned trees are removed by a thread that has ended its start when this one is gone.
      fs.mkdirSync(orphan)
      await atomicWrite(`${dir}/file`, 'x')
      await until(() => !fs.existsSync(orphan))
      const isSweeper = (thread: string) => {
        try {
          return fs.readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').startsWith('atomic-sweep')
        } catch {
          // The thread has ended meanwhile.
          return false
        }
      }
      if (process.platform === 'linux') await until(() => !fs.readdirSync('/proc/self/task').some(isSweeper))
    },
    [dir, join(dir, tempName('orphan'))],
    options,
  )
  await next.returned
}

describe('kill -9 at any moment', () => {
  for (const options of [{}, { keepPrevious: true }, { flush: false }]) {
    test(`leaves a complete tree under the name, with ${JSON.stringify(options)}`, async ({ dir }) => {
      let left = 0
      // A kill that leaves nothing tries no sweep.
      for (let i = 0; i < 8 || left === 0; i++) {
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
          ({ atomicDirectory, require }, site, keepPrevious) =>
            atomicDirectory(
              site,
              (staging: string) => require('node:fs').writeFileSync(`${staging}/v`, 'new'),
              { keepPrevious },
            ),
          [join(dir, 'site'), keepPrevious],
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
      ({ atomicDirectory, require, send, receive }, site) =>
        atomicDirectory(site, async (staging: string) => {
          require('node:fs').writeFileSync(`${staging}/file`, 'x')
          const goOn = receive()
          send(staging)
          await goOn
        }),
      [join(dir, 'site')],
    )
    const staging: string = await builder.next()
    await nextProcess(dir)
    expect(names(staging)).toStrictEqual(['file'])
    builder.send('go on')
    expect(await builder.returned).toMatchObject({ files: 1 })
    expect(treeOf(dir)).toStrictEqual({ file: 'x', 'site/file': 'x' })
  })

  needs('linux', ...OTHER_USER)('leaves a tree that another user owns', async ({ dir }) => {
    execFileSync('chmod', ['777', dir])
    plant(join(dir, tempName('site')), { file: 'x' })
    await nextProcess(dir, { uid: NOBODY })
    expect(leftovers(dir)).toContain(tempName('site'))
    // Root does so in a folder in which everybody may leave things.
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

  needs('strace that may attach')('is not held up by a large one', async ({ dir }) => {
    const orphan = join(dir, tempName('site'))
    plant(orphan, Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${i}`, ''])))
    // To remove each of its files takes ten seconds.
    const slowly = 'set -- strace -f -qq -o /dev/null -e inject=unlinkat:delay_enter=10000000 "$@"'
    const writer = inProcess(
      async ({ atomicWrite, require, send, receive }, dir, orphan) => {
        await atomicWrite(`${dir}/file`, 'x')
        send({ pid: process.pid, left: require('node:fs').readdirSync(orphan).length })
        await receive()
      },
      [dir, orphan],
      { before: slowly },
    )
    const { pid, left } = await writer.next()
    process.kill(pid, 'SIGKILL')
    writer.kill()
    expect(left).toBeGreaterThan(0)
    await writer.exit
  })
})

describe('a builder that goes away', () => {
  const building = async ({ atomicDirectory, require, send }: Remote, site: string) => {
    await atomicDirectory(site, (staging: string) => {
      require('node:fs').writeFileSync(`${staging}/file`, 'x')
      send('building')
      return new Promise(() => setInterval(() => {}, 1000))
    })
  }

  test('as a terminated worker has its tree removed, and lets the next call go on', async ({ dir }) => {
    for (let round = 0; round < 3; round++) {
      const worker = inThread(building, [join(dir, 'site')])
      await worker.next()
      const next = atomicDirectory(join(dir, 'site'), (staging) => plant(staging, { v: `${round}` }))
      await worker.terminate()
      await next
      await until(
        () => names(dir).join() === 'site',
        () => names(dir).join(),
      )
    }
    if (process.platform === 'linux') await untilClosed(dir)
  })

  needs('prlimit', ...(isRoot ? OTHER_USER : []))(
    'as a terminated worker where no thread can be had leaves its tree, which the next one sweeps',
    async ({ dir }) => {
      giveAway(dir)
      const child = inProcess(
        async ({ require }, code) => {
          const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
          const worker = new Worker(code, { eval: true })
          await new Promise((resolve) => worker.once('message', resolve))
          // Its user, who is not root, has as many threads as that already.
          require('node:child_process').execFileSync('prlimit', ['--pid', `${process.pid}`, '--nproc=1'])
          // What is removed on its own thread is gone when it has ended.
          await worker.terminate()
        },
        [inWorker(building, join(dir, 'site'))],
        unprivileged,
      )
      expect(await child.exit).toMatchObject({ code: 0, stderr: '' })
      expect(leftovers(dir).map((tree) => names(join(dir, tree)))).toStrictEqual([['file']])
      await nextProcess(dir)
      expect(treeOf(dir)).toStrictEqual({ file: 'x' })
    },
  )

  test('as a process that exits leaves at most its own tree, which the next one sweeps', async ({ dir }) => {
    plant(join(dir, 'site'), { v: 'old' })
    const child = inProcess(
      ({ atomicDirectory, require }, site) =>
        atomicDirectory(site, (staging: string) => {
          require('node:fs').writeFileSync(`${staging}/file`, 'x')
          process.exit(7)
        }),
      [join(dir, 'site')],
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
      async ({ atomicDirectory }, site) => {
        for (let i = 0; i < 3; i++) await atomicDirectory(site, () => {})
      },
      [join(dir, 'site')],
    )
    expect(await child.exit).toMatchObject({ code: 0, stderr: '' })
  })
})
