// Help, its page in docs/, and what wrong usage answers.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { program } from '../../cli/program'
import { root } from '../../scripts/tools.mjs'
import { test } from '../helpers/test'
import { atomic, program as cli } from './support'

function helpOf(name: string): string {
  let text = ''
  const all = program()
  const command = name === 'atomic' ? all : all.commands.find((one) => one.name() === name)
  expect(command, name).toBeDefined()
  const print = (part: string) => {
    text += part
  }
  command?.configureOutput({ writeOut: print, getOutHelpWidth: () => 80 }).outputHelp()
  return text.trimEnd()
}

const names = ['atomic', ...program().commands.map((command) => command.name())]

test('docs/cli.md has the help of each command (vitest -u writes it)', async () => {
  const path = join(root, 'docs/cli.md')
  const page = readFileSync(path, 'utf8')
  const blocks = [...page.matchAll(/^<!-- help: (\w+) -->$/gm)].map(([, name]) => name)
  expect(blocks.sort()).toEqual([...names].sort())
  const written = page.replace(
    /^<!-- help: (\w+) -->\n```text\n[\s\S]*?^```$/gm,
    (_, name: string) => `<!-- help: ${name} -->\n\`\`\`text\n${helpOf(name)}\n\`\`\``,
  )
  await expect(written).toMatchFileSnapshot(path)
})

test.for(names)('the help of %s has examples and fits a terminal', (name) => {
  const lines = helpOf(name).split('\n')
  const prose = lines.filter((line) => !/^ {2}\S/.test(line))
  expect(prose.filter((line) => line.length > 80)).toEqual([])
  if (name !== 'atomic') expect(lines).toContain('Examples:')
})

test('wrong usage exits with 2, says why, and where help is', async ({ dir }) => {
  const cases: [string[], RegExp][] = [
    [['wirte', 'a'], /unknown command 'wirte'\n\(Did you mean write\?\)\nTry: atomic --help\n$/],
    [['write'], /missing required argument 'file'\nTry: atomic write --help\n$/],
    [['write', 'a', 'cat', 'b'], /A command goes after --: atomic write a -- cat b\n$/],
    [['write', 'a', '--mode', 'rw'], /It is octal digits/],
    [['update', 'a.json'], /Nothing to change: give --set/],
    [['update', 'a.json', '--merge', '{a:1}'], /It is JSON: .*single quotes/],
    [['update', 'a.json', '--eval', '1'], /It is a JavaScript function/],
    [['update', 'a.json', '--set', 'n=1', '--every', '1h'], /--every needs --backup/],
    [['update', 'a.json', '--set', 'n=1', '--schema', 'none.mjs'], /the module could not be loaded/],
    [['update', 'a.json', '--merge', '5'], /It is a JSON object, or an array/],
    [
      ['update', 'a.json', '--set', 'n=1', '--initial', '12'],
      /'--initial <json>'.* It is a JSON object, or an array/,
    ],
    [['recover', 'a.json', '--initial', 'null'], /'--initial <json>'.* It is a JSON object, or an array/],
    [['write', 'a', '--'], /There is no command after --/],
    [['write', '--', 'a', '--'], /-- comes once, between the file and the command\n$/],
    [['write', '--', 'a', '--', 'echo'], /-- comes once, between the file and the command\n$/],
    [['watch', 'a.json', '--count', '0'], /It is more than 0/],
    [['bench', '.', '--time', '0ms'], /It is more than 0/],
    [['recover', '.', '--initial', '{}'], /--initial is for a JSON file/],
    [['append', 'a', 'b', '--rotate', '0'], /size/],
    [['sweep', '.', '--older-than', 'long'], /a number with a unit/],
  ]
  const runs = cases.map(async ([args, message]) => {
    const { code, stdout, stderr } = await atomic(args, { cwd: dir })
    expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
    expect(stderr).toMatch(message)
  })
  await Promise.all(runs)
})

test('wrong usage exits with 2 also where nobody reads what is wrong', ({ dir }) => {
  const run = 'exec 3> >(exec true); wait $!; "$0" "$1" wirte 2>&3; echo $?; "$0" "$1" 2>&3; echo $?'
  const output = execFileSync('bash', ['-c', run, process.execPath, cli()], { cwd: dir })
  expect(`${output}`).toBe('2\n2\n')
})

test('help ends quietly when its reader goes away, and says why it cannot be written', ({ dir }) => {
  const run =
    'exec 3> >(exec true); wait $!; "$0" "$1" --help >&3; echo $?; "$0" "$1" --help >/dev/full; echo $?'
  const output = execFileSync('bash', ['-c', `(${run}) 2>&1`, process.execPath, cli()], { cwd: dir })
  expect(`${output}`).toMatch(
    process.platform === 'linux' ? /^141\natomic: Standard output: ENOSPC.*\n1\n$/ : /^141\n/,
  )
})

test('help and version are what was asked for, on standard output', async ({ dir }) => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const [help, told] = await Promise.all([
    atomic(['update', '--help'], { cwd: dir }),
    atomic(['--version'], { cwd: dir }),
  ])
  expect(help).toMatchObject({ code: 0, stdout: `${helpOf('update')}\n\n`, stderr: '' })
  expect(told).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' })
})
