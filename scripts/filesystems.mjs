// `npm run filesystems`, as root: what inspectDirectory finds on each file system that can be mounted here, as docs/filesystems.md.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { release } from 'node:os'
import { join } from 'node:path'
import { Complaint, root, runAsScript, withTemporaryFolder } from './tools.mjs'

/** @typedef {import('../index.d.ts').DirectoryInspection} Inspection */

/** Those that others ask about, and that no kernel here has had. */
const NOT_TRIED = ['APFS', 'NTFS', 'FAT', 'ZFS', 'f2fs', 'NFS', 'SMB']

/** What differs from disk to disk. */
const OF_THE_DISK = ['device', 'flushTime', 'fileSystem']

/** By title: how it is made, and its size in MiB, if it is on a disk. */
const DISKS = /** @type {const} */ ({
  ext4: ['mkfs.ext4', 16],
  xfs: ['mkfs.xfs', 320],
  btrfs: ['mkfs.btrfs', 128],
})

/** Each file system of this machine that can be mounted, one after the other. */
async function inspectAll(/** @type {string} */ folder) {
  const { inspectDirectory } = createRequire(import.meta.url)('../index.js')
  /** @type {Record<string, Inspection>} */
  const found = {}
  /** @type {string[]} */
  const missing = []
  const attempt = async (/** @type {string} */ title, /** @type {() => Promise<Inspection>} */ inspect) => {
    try {
      found[title] = await inspect()
    } catch (error) {
      console.error(`${title} could not be tried: ${error instanceof Error ? error.message : error}`)
      missing.push(title)
    }
  }
  const make = (/** @type {string[]} */ ...parts) => {
    const at = join(folder, ...parts)
    mkdirSync(at, { recursive: true })
    return at
  }
  const mounted = async (
    /** @type {string[]} */ options,
    /** @type {string} */ at,
    /** @type {(at: string) => Promise<Inspection>} */ use,
  ) => {
    execFileSync('mount', [...options, at], { stdio: ['ignore', 'ignore', 'pipe'] })
    try {
      return await use(at)
    } finally {
      execFileSync('umount', ['-l', at])
    }
  }
  const overlay = (/** @type {string} */ disk) => {
    const layers = ['lower', 'upper', 'work'].map((name) => {
      mkdirSync(join(disk, name))
      return `${name}dir=${join(disk, name)}`
    })
    return mounted(['-t', 'overlay', '-o', layers.join(), 'overlay'], make('overlay'), inspectDirectory)
  }
  for (const [title, [mkfs, size]] of Object.entries(DISKS)) {
    await attempt(title, async () => {
      const image = join(folder, `${title}.image`)
      writeFileSync(image, '')
      truncateSync(image, size * 2 ** 20)
      execFileSync(mkfs, ['-q', image], { stdio: ['ignore', 'ignore', 'pipe'] })
      return mounted(['-o', 'loop', image], make(title), async (at) => {
        if (title === 'ext4') await attempt('overlay', () => overlay(at))
        return inspectDirectory(at)
      })
    })
  }
  await attempt('tmpfs', () =>
    mounted(['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs'], make('tmpfs'), inspectDirectory),
  )
  await attempt('FUSE', async () => {
    const program = join(root, 'target/lab/poor-fs')
    if (!existsSync(program)) throw new Complaint('cargo build --profile lab -p crash-lab --bin poor-fs')
    const at = make('fuse')
    const daemon = spawn(program, [make('shown'), at], { stdio: ['pipe', 'pipe', 'inherit'] })
    try {
      await once(daemon.stdout, 'data')
      return await inspectDirectory(at)
    } finally {
      execFileSync('umount', ['-l', at])
      daemon.stdin.end()
      daemon.kill()
    }
  })
  // Packages exfat-fuse and exfatprogs of Debian: the kernel need not have it.
  await attempt('exFAT', async () => {
    const [image, at] = [join(folder, 'exfat.image'), make('exfat')]
    writeFileSync(image, '')
    truncateSync(image, 16 * 2 ** 20)
    execFileSync('mkfs.exfat', [image], { stdio: ['ignore', 'ignore', 'pipe'] })
    const device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim()
    try {
      execFileSync('mount.exfat-fuse', [device, at], { stdio: ['ignore', 'ignore', 'pipe'] })
      try {
        return await inspectDirectory(at)
      } finally {
        execFileSync('umount', [at])
      }
    } finally {
      execFileSync('losetup', ['--detach', device])
    }
  })
  return { found, missing }
}

/** The page. */
function draw(/** @type {Record<string, Inspection>} */ found, /** @type {string[]} */ missing) {
  const titles = Object.keys(found).sort((one, other) => order.indexOf(one) - order.indexOf(other))
  const shown = (/** @type {unknown} */ value) =>
    value === true ? 'yes' : value === false ? 'no' : value === null ? '?' : `${value}`
  const of = (/** @type {string} */ title, /** @type {string} */ name) =>
    found[title]?.traits.find((row) => row.name === name)
  const names = (found[titles[0] ?? '']?.traits ?? []).map(({ name }) => name)
  const rows = names
    .filter((name) => !OF_THE_DISK.includes(name))
    .map((name) => `| \`${name}\` | ${titles.map((title) => shown(of(title, name)?.value)).join(' | ')} |`)
  const follows = names.flatMap((name) => {
    const without = titles.filter((title) => of(title, name)?.value === false)
    const means = of(without[0] ?? '', name)?.means
    return means ? [`- \`${name}\` (${without.join(', ')}): ${means}`] : []
  })
  return `# File systems

What \`inspectDirectory\` finds on each, and what follows where the answer is no. Its result is that of a directory, and mount options
count: ask your own, by \`inspectDirectory\` or \`npx @pipeline/atomic selftest DIR\`.

Drawn by \`npm run filesystems\` on Linux ${release()}. FUSE is tried with a daemon of the tests that shows another directory
(\`crash-lab/src/bin/poor-fs\`); every daemon is a file system of its own. exFAT is that of \`exfat-fuse\`. \`overlay\` has its layers on ext4. Not tried: ${[...missing, ...NOT_TRIED].join(', ')}.

| | ${titles.join(' | ')} |
|---|${titles.map(() => '---').join('|')}|
${rows.join('\n')}

## What follows from no

${follows.join('\n')}
`
}

const order = ['ext4', 'xfs', 'btrfs', 'tmpfs', 'overlay', 'FUSE', 'exFAT']

runAsScript(import.meta.url, () =>
  withTemporaryFolder(async (folder) => {
    if (process.getuid?.() !== 0)
      throw new Complaint('npm run filesystems mounts file systems: run it as root.')
    const { found, missing } = await inspectAll(folder)
    writeFileSync(join(root, 'docs/filesystems.md'), draw(found, missing))
  }),
)
