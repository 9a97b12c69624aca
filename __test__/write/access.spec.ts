import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { attributes, NOBODY_MAY_READ, NOBODY_MAY_WRITE, python, setAttribute } from '../helpers/attributes'
import { leftovers, makeDir, names, state } from '../helpers/files'
import { needs, OTHER_USER } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'
import { NOBODY } from '../helpers/users'

type Write = (remote: Remote, path: string) => Promise<unknown>

const modeOf = (path: string) => statSync(path).mode & 0o7777

function fileWith(dir: string, mode: number): string {
  const path = join(dir, 'file')
  writeFileSync(path, 'old')
  chmodSync(path, mode)
  return path
}

describe('the mode', () => {
  for (const umask of ['000', '022', '077', '137']) {
    test(`of a new file is 0666 less the umask ${umask}`, async ({ dir }) => {
      const writer = inProcess(({ atomicWrite }, path) => atomicWrite(path, 'x'), [join(dir, 'file')], {
        before: `umask ${umask}`,
      })
      await writer.returned
      expect(modeOf(join(dir, 'file'))).toBe(0o666 & ~Number.parseInt(umask, 8))
    })
  }

  for (const mode of [0o644, 0o600, 0o755, 0o400, 0o000, 0o222, 0o666, 0o777, 0o1644, 0o4755, 0o2750]) {
    test(`of a file that is replaced is kept: ${mode.toString(8)}`, async ({ dir }) => {
      const path = fileWith(dir, mode)
      await atomicWrite(path, 'new')
      expect(modeOf(path)).toBe(mode)
    })
  }

  for (const [given, mode] of [
    [0o640, 0o640],
    [0o777, 0o777],
    [0, 0],
    ['600', 0o600],
    ['0644', 0o644],
    ['7', 0o007],
    [0o2755, 0o2755],
  ] as const) {
    test(`given as ${JSON.stringify(given)} is set exactly, on a new file and on a replaced one`, async ({
      dir,
    }) => {
      await atomicWrite(join(dir, 'new'), 'x', { mode: given })
      await atomicWrite(fileWith(dir, 0o604), 'x', { mode: given })
      expect([modeOf(join(dir, 'new')), modeOf(join(dir, 'file'))]).toStrictEqual([mode, mode])
    })
  }

  test('of a file behind a link is kept', async ({ dir }) => {
    const path = fileWith(dir, 0o604)
    execFileSync('ln', ['-s', 'file', join(dir, 'link')])
    await atomicWrite(join(dir, 'link'), 'new')
    expect(modeOf(path)).toBe(0o604)
  })

  test('of a read-only file does not stop its owner', async ({ dir }) => {
    const path = fileWith(dir, 0o400)
    await atomicWrite(path, 'new')
    expect(readFileSync(path, 'utf8')).toBe('new')
  })
})

describe('the owner', () => {
  needs('linux', 'root')('and the group of a replaced file are kept by root', async ({ dir }) => {
    const path = fileWith(dir, 0o640)
    chownSync(path, 12345, 23456)
    await atomicWrite(path, 'new')
    expect(statSync(path)).toMatchObject({ uid: 12345, gid: 23456, mode: 0o100640 })
  })

  needs('linux', 'root')('and set-id bits are kept together', async ({ dir }) => {
    const path = fileWith(dir, 0o640)
    chownSync(path, 12345, 23456)
    chmodSync(path, 0o6751)
    await atomicWrite(path, 'new')
    expect(statSync(path)).toMatchObject({ uid: 12345, gid: 23456, mode: 0o106751 })
  })

  needs('linux', ...OTHER_USER)(
    'that others may not give away becomes the writer, and set-id bits go',
    async ({ dir }) => {
      chmodSync(dir, 0o777)
      const path = fileWith(dir, 0o6755)
      const writer = inProcess(({ atomicWrite }, path) => atomicWrite(path, 'new'), [path], { uid: NOBODY })
      expect(await writer.returned).toMatchObject({ written: true })
      expect(statSync(path)).toMatchObject({ uid: NOBODY, gid: NOBODY, mode: 0o100755 })
    },
  )

  needs('linux', ...OTHER_USER)(
    'that cannot be kept gives a foreign group no more than others have',
    async ({ dir }) => {
      chmodSync(dir, 0o777)
      const path = fileWith(dir, 0o664)
      const writer = inProcess(({ atomicWrite }, path) => atomicWrite(path, 'new'), [path], { uid: NOBODY })
      await writer.returned
      expect(modeOf(path)).toBe(0o644)
    },
  )

  needs('linux', 'root')('of the folder’s group is not lost by a set-gid folder', async ({ dir }) => {
    const folder = makeDir(dir, 'folder')
    const path = fileWith(folder, 0o640)
    chownSync(folder, 0, 23456)
    chmodSync(folder, 0o2755)
    await atomicWrite(path, 'new')
    await atomicWrite(join(folder, 'made'), 'new')
    expect([statSync(path).gid, statSync(join(folder, 'made')).gid]).toStrictEqual([0, 23456])
  })
})

describe('extended attributes', () => {
  needs(
    'linux',
    'python3',
    'a temporary folder on a disk',
  )('of a replaced file are kept', async ({ dir }) => {
    const path = fileWith(dir, 0o644)
    setAttribute(path, 'user.origin', "b'pipeline'")
    setAttribute(path, 'user.empty', "b''")
    setAttribute(path, 'user.large', "b'x' * 3000")
    const before = attributes(path)
    await atomicWrite(path, 'new')
    expect(attributes(path)).toBe(before)
  })

  needs(
    'linux',
    'python3',
    'a temporary folder on a disk',
  )('are kept however many they are', async ({ dir }) => {
    const path = fileWith(dir, 0o644)
    python(`for i in range(60): os.setxattr(path, f'user.attribute-number-{i}', b'%d' % i)`, path)
    const before = attributes(path)
    await atomicWrite(path, 'new')
    expect(attributes(path)).toBe(before)
  })

  needs(
    'linux',
    'root',
    'python3',
  )('that only root may set are kept by root', async ({ dir }) => {
    const path = fileWith(dir, 0o644)
    setAttribute(path, 'trusted.origin', "b'pipeline'")
    await atomicWrite(path, 'new')
    expect(attributes(path)).toContain('trusted.origin')
  })

  needs(
    'linux',
    'root',
    'python3',
  )('that grant rights to the old content are not kept', async ({ dir }) => {
    const path = fileWith(dir, 0o755)
    const capability = "struct.pack('<IIIII', 0x02000001, 1 << 10, 0, 0, 0)"
    setAttribute(path, 'security.capability', capability)
    await atomicWrite(path, 'new')
    expect(attributes(path)).toBe('[]')
  })

  needs('linux', 'python3')('that are an ACL are kept', async ({ dir }) => {
    const path = fileWith(dir, 0o640)
    setAttribute(path, 'system.posix_acl_access', NOBODY_MAY_READ)
    const before = [attributes(path), modeOf(path)]
    await atomicWrite(path, 'new')
    expect([attributes(path), modeOf(path)]).toStrictEqual(before)
  })

  needs('linux', 'python3')('a new file has the ACL that its folder hands down', async ({ dir }) => {
    setAttribute(dir, 'system.posix_acl_default', NOBODY_MAY_READ)
    await atomicWrite(join(dir, 'ours'), 'x')
    writeFileSync(join(dir, 'theirs'), 'x')
    expect([attributes(join(dir, 'ours')), modeOf(join(dir, 'ours'))]).toStrictEqual([
      attributes(join(dir, 'theirs')),
      modeOf(join(dir, 'theirs')),
    ])
  })

  needs('linux', 'python3')('a replaced file without an ACL does not get its folder’s', async ({ dir }) => {
    const path = fileWith(dir, 0o660)
    setAttribute(dir, 'system.posix_acl_default', NOBODY_MAY_WRITE)
    const before = [attributes(path), modeOf(path)]
    await atomicWrite(path, 'new')
    expect([attributes(path), modeOf(path)]).toStrictEqual(before)
  })
})

describe('a folder that this user may not write to', () => {
  const write = (path: string, uid = NOBODY) =>
    inProcess(
      ({ atomicWrite }, path) =>
        atomicWrite(path, 'new').then(
          () => 'written',
          ({ code, syscall, path, dest, message }) => ({ code, syscall, path, dest, message }),
        ),
      [path],
      { uid },
    ).returned

  needs('linux', ...OTHER_USER)('is EACCES: the old file stands', async ({ dir }) => {
    const folder = makeDir(dir, 'folder')
    chmodSync(dir, 0o755)
    const path = fileWith(folder, 0o666)
    const before = state(path)
    const what = 'this user may not make files in its directory, and the new one is made there'
    const message = `EACCES: permission denied, open '${path}': ${what}`
    expect(await write(path)).toStrictEqual({ code: 'EACCES', syscall: 'open', path, message })
    expect(state(path)).toStrictEqual(before)
    expect(names(folder)).toStrictEqual(['file'])
  })

  needs('linux', ...OTHER_USER)('is EACCES for a folder to be made in it', async ({ dir }) => {
    chmodSync(dir, 0o755)
    const path = join(dir, 'new', 'file')
    expect(await write(path)).toMatchObject({ code: 'EACCES', syscall: 'mkdir', path: join(dir, 'new') })
  })

  needs('linux', ...OTHER_USER)('is EACCES where it may not be searched', async ({ dir }) => {
    const folder = makeDir(dir, 'folder')
    chmodSync(dir, 0o755)
    chmodSync(folder, 0o666)
    expect(await write(join(folder, 'file'))).toMatchObject({ code: 'EACCES' })
  })

  needs('linux', ...OTHER_USER)(
    'because it is sticky: the failed rename names both paths',
    async ({ dir }) => {
      chmodSync(dir, 0o755)
      const folder = makeDir(dir, 'folder')
      chmodSync(folder, 0o1777)
      const path = fileWith(folder, 0o666)
      const before = state(path)
      expect(await write(path)).toMatchObject({ code: 'EPERM', syscall: 'rename', path, dest: path })
      expect(state(path)).toStrictEqual(before)
      expect(leftovers(folder)).toStrictEqual([])
    },
  )
})

describe('as root without the capability to change owners, as in many containers', () => {
  const before = 'set -- setpriv --bounding-set=-chown --inh-caps=-chown -- "$@"'
  const inContainer = needs('linux', 'root', 'setpriv')

  inContainer('another user’s file is replaced, and belongs to root', async ({ dir, file }) => {
    const path = fileWith(dir, 0o6775)
    chownSync(path, NOBODY, NOBODY)
    const write: Write = ({ atomicWrite }, path) => atomicWrite(path, 'new')
    await inProcess(write, [path], { before }).returned
    expect(readFileSync(path, 'utf8')).toBe('new')
    // No user gains rights: the foreign group has become root's.
    expect(statSync(path)).toMatchObject({ uid: 0, gid: 0, mode: 0o100755 })

    chownSync(path, NOBODY, NOBODY)
    const withMode: Write = ({ atomicWrite }, path) => atomicWrite(path, 'newer', { mode: 0o640 })
    await inProcess(withMode, [path], { before }).returned
    expect(statSync(path)).toMatchObject({ uid: 0, gid: 0, mode: 0o100640 })

    writeFileSync(file, '{"n":1}')
    chownSync(file, NOBODY, NOBODY)
    const update: Write = ({ atomicIndexUpdate }, path) =>
      atomicIndexUpdate(path, ({ n }: any) => ({ n: n + 1 }), { backup: true })
    await inProcess(update, [file], { before }).returned
    expect(readFileSync(file, 'utf8')).toBe('{"n":2}')
  })

  inContainer('another user’s directory is replaced and copied', async ({ dir }) => {
    const site = makeDir(dir, 'site')
    fileWith(site, 0o644)
    for (const path of [site, join(site, 'file')]) chownSync(path, NOBODY, NOBODY)
    const replace: Write = ({ copyDirectoryAtomic }, from) =>
      copyDirectoryAtomic(from, `${from}-copy`).then(() => copyDirectoryAtomic(`${from}-copy`, from))
    await inProcess(replace, [site], { before }).returned
    expect(names(site)).toStrictEqual(['file'])
    expect(leftovers(dir)).toStrictEqual([])
  })
})

describe('as a user without privileges', () => {
  needs('linux', ...OTHER_USER)('files are made and replaced all the same', async ({ dir }) => {
    chownSync(dir, NOBODY, NOBODY)
    const writer = inProcess(
      async ({ atomicWrite }, path) => [await atomicWrite(path, 'one'), await atomicWrite(path, 'two')],
      [join(dir, 'file')],
      { uid: NOBODY },
    )
    expect(await writer.returned).toMatchObject([{ written: true }, { written: true }])
    expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('two')
    expect(names(dir)).toStrictEqual(['file'])
  })
})
