// Files of a lower layer of an overlay. It copies a file up in order to link or rename it, and where the layers are on several file
// systems, the names of one file may then say that they are two files.

import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atomicTransaction, recover, snapshotRead } from '@pipeline/atomic'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { makeDir } from '../helpers/files'
import { ext4, isHere, mounted, needs, tmpfs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { lost, staged } from '../helpers/transaction'

const testDisk = needs('root that may mount a disk')
const testKill = needs('root that may mount a disk', 'strace that may attach')

/** Over a layer in memory, and over a disk whose files cannot be told after a copy: it has no UUID. */
const OVERLAYS = {
  'whose layers are on one file system': { lower: 'memory', options: '' },
  'of several file systems': { lower: 'disk', options: '' },
  'of several file systems, with xino': { lower: 'disk', options: ',xino=on' },
  'of several file systems, without xino': { lower: 'disk', options: ',xino=off' },
  'of several file systems, with an index of links': { lower: 'disk', options: ',index=on' },
  'of several file systems, with metacopy': { lower: 'disk', options: ',metacopy=on,redirect_dir=on' },
  'of several file systems, with redirect_dir': { lower: 'disk', options: ',redirect_dir=on' },
} as const

type Overlay = (typeof OVERLAYS)[keyof typeof OVERLAYS]

/** Files of the lower layer by their names, and what they say. */
const LOWER = { a: 'lower a', b: 'lower b', c: 'lower c', 'sub/e': 'lower e', linked: 'two', twin: 'two' }

interface Disks {
  memory: string
  disk: string
}

/** Mounts what the layers are on below `dir` while `body` runs. */
const withDisks = (dir: string, body: (disks: Disks) => Promise<void>) =>
  mounted(join(dir, 'memory'), tmpfs('8m'), (memory) =>
    mounted(join(dir, 'disk'), ext4(join(dir, 'image'), '-U', 'clear'), (disk) => body({ memory, disk })),
  )

/** `body` may mount the overlay as often as it likes: each time all that the kernel knew of it is gone. */
async function layered(
  dir: string,
  { memory, disk }: Disks,
  { lower: kind, options }: Overlay,
  body: (mount: <T>(use: (root: string) => Promise<T>) => Promise<T>) => Promise<void>,
  others: readonly string[] = [],
): Promise<void> {
  // New layers on the same disks: nothing looks at more of a disk than these.
  const layer = (on: string, name: string) => mkdtempSync(join(on, `${name}-`))
  const lower = layer(kind === 'disk' ? disk : memory, 'lower')
  const [upper, work] = ['upper', 'work'].map((name) => layer(memory, name))
  for (const name of others) writeFileSync(join(lower, name), 'LOWER A')
  mkdirSync(join(lower, 'sub'))
  for (const [name, text] of Object.entries(LOWER)) {
    if (name === 'twin') linkSync(join(lower, 'linked'), join(lower, name))
    else writeFileSync(join(lower, name), text)
  }
  const layers = `lowerdir=${lower},upperdir=${upper},workdir=${work}${options}`
  await body((use) => mounted(join(dir, 'root'), ['-t', 'overlay', '-o', layers, 'overlay'], use))
}

/** The disks of all tests but the last: to make and mount them takes longer than a test. */
let disks: Disks
let letGo = () => {}
let areGone: Promise<unknown>

beforeAll(async () => {
  if (!isHere('root that may mount a disk')) return
  const dir = mkdtempSync(join(tmpdir(), 'atomic-overlay-'))
  await new Promise<void>((resolve, reject) => {
    const use = (made: Disks) => {
      disks = made
      resolve()
      return new Promise<void>((end) => {
        letGo = end
      })
    }
    areGone = withDisks(dir, use).then(() => rmSync(dir, { recursive: true }))
    areGone.catch(reject)
  })
})

afterAll(async () => {
  letGo()
  await areGone
})

/** What is in the root, but for what transactions keep there. */
function contents(root: string): Record<string, string> {
  const found = readdirSync(root, { recursive: true, encoding: 'utf8' })
  const files = found.filter((name) => !name.startsWith('.atomic') && statSync(join(root, name)).isFile())
  return Object.fromEntries(files.sort().map((name) => [name, readFileSync(join(root, name), 'utf8')]))
}

/** Two files move, one of them over another one, and a third is written. */
async function move({ atomicTransaction }: Pick<Remote, 'atomicTransaction'>, root: string): Promise<void> {
  await atomicTransaction(root, (tx) => {
    tx.write('a', 'new')
    tx.rename('b', 'd')
    tx.rename('sub/e', 'c')
  })
}

const begin = async ({ atomicTransaction }: Pick<Remote, 'atomicTransaction'>, root: string) => {
  await atomicTransaction(root, [{ write: 'twin', data: 'two' }])
}

const { b, c, 'sub/e': e, ...others } = LOWER
const MOVED = { ...others, a: 'new', c: e, d: b }

for (const [title, overlay] of Object.entries(OVERLAYS)) {
  describe(`on an overlay ${title}`, () => {
    testDisk('files of the lower layer are replaced, renamed and removed', async ({ dir }) => {
      await layered(dir, disks, overlay, (mount) =>
        mount(async (root) => {
          await move({ atomicTransaction }, root)
          expect([contents(root), staged(root)]).toEqual([MOVED, []])
          const { a, ...kept } = MOVED
          await atomicTransaction(root, (tx) => {
            tx.remove('a')
            tx.rename('linked', 'sub/linked')
          })
          const { linked, ...rest } = kept
          expect([contents(root), staged(root)]).toEqual([{ ...rest, 'sub/linked': 'two' }, []])
          expect(await snapshotRead(root, ['a', 'd', 'twin'])).toEqual([null, b, 'two'])
        }),
      )
    })

    for (const anew of [false, true]) {
      testKill(
        `renames that a kill has interrupted are recovered${anew ? ' after it was mounted anew' : ''}`,
        async ({ dir }) => {
          for (const call of [
            'renameat:signal=SIGKILL:when=1',
            'renameat:signal=SIGKILL:when=3',
            'renameat2:signal=SIGKILL:when=1',
          ]) {
            const at = makeDir(dir, call.replace(/\W/g, '-'))
            await layered(at, disks, overlay, async (mount) => {
              const interrupt = async (root: string) => {
                // What all transactions have in common; nothing of it stays open here, or it could not be mounted anew.
                await inProcess(begin, [root]).exit
                const before = `set -- strace -f -qq -o /dev/null -e trace=renameat,renameat2 -e inject=${call} "$@"`
                const child = inProcess(move, [root], { before })
                await child.returned.catch(() => {})
                await child.exit
                expect(contents(root)).not.toEqual(MOVED)
              }
              const complete = async (root: string) => {
                expect(await recover(root)).toMatchObject({ outcome: 'completed' })
                expect([contents(root), staged(root), lost(root)]).toEqual([MOVED, [], []])
              }
              if (anew) {
                await mount(interrupt)
                await mount(complete)
              } else {
                await mount(async (root) => {
                  await interrupt(root)
                  await complete(root)
                })
              }
            })
          }
        },
      )
    }
  })
}

testKill(
  'a file that has the inode number of what is moved to its name is not taken for it',
  async ({ dir }) => {
    // Each layer numbers its files by itself. Some of these have the numbers that files get in the upper one.
    const others = Array.from({ length: 64 }, (_, at) => `other${at}`)
    const over = ({ atomicTransaction }: Pick<Remote, 'atomicTransaction'>, root: string, to: string) =>
      atomicTransaction(root, (tx) => tx.rename('a', to)).then(() => {})
    const before =
      'set -- strace -f -qq -o /dev/null -e trace=renameat -e inject=renameat:signal=SIGKILL:when=1 "$@"'
    const numbered = (root: string, names: string[]) =>
      new Map(names.map((name) => [statSync(join(root, name)).ino, name]))
    const interrupted = async (
      name: string,
      to: string,
      use: (root: string, link: number, numbers: Map<number, string>) => Promise<void>,
    ) => {
      const body = async (root: string) => {
        const numbers = numbered(root, others)
        await inProcess(begin, [root]).exit
        const child = inProcess(over, [root, to], { before })
        await child.returned.catch(() => {})
        await child.exit
        const [link = 0] = numbered(
          root,
          staged(root).filter((file) => file.startsWith(`.${to}.`)),
        ).keys()
        await use(root, link, numbers)
      }
      // New disks: the numbers are of their first files.
      await withDisks(makeDir(dir, name), (disks) =>
        layered(dir, disks, OVERLAYS['of several file systems'], (mount) => mount(body), others),
      )
    }
    let to = ''
    await interrupted('first', 'other0', async (_root, link, numbers) => {
      to = String(numbers.get(link))
    })
    await interrupted('second', to, async (root, link, numbers) => {
      expect(numbers.get(link)).toBe(to)
      expect(await recover(root)).toMatchObject({ outcome: 'completed' })
      expect(readFileSync(join(root, to), 'utf8')).toBe(LOWER.a)
      expect([staged(root), lost(root)]).toEqual([[], []])
    })
  },
)
