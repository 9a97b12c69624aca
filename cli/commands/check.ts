import { statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { inspectIndexLock } from '@pipeline/atomic'
import type { Command } from 'commander'
import { checkDirectory, checkLeftovers } from '../check/directory'
import type { Finding } from '../check/finding'
import { checkIndex, checkLines, namesBeside, type Wanted } from '../check/index-file'
import { checked, type Numbers, numbers, shared, told } from '../options'
import { named, type Output, type OutputOptions, plural, table } from '../output'
import { EXIT_FAILED, run } from '../run'
import { loadSchema } from '../schema'
import { heldBy } from './sweep'

const AFTER = `
Looks at each .json file as an index: is it JSON, does it pass --schema, are its
backups good? At each .jsonl file: are its lines whole? And at what processes
have left, and who holds which lock. Nothing is changed. Exits with 1 if there
is a problem; notes are none.

Examples:
  atomic check content
  atomic check posts/index.json --schema ./schemas.mjs#Posts
  atomic check . --exclude tsconfig.json --json
`

interface Options extends OutputOptions {
  exclude?: string[]
  schema?: string
  numbers: Numbers
}

export const check = (program: Command): Command =>
  shared(
    program
      .command('check')
      .description('Finds broken indexes, leftovers, locks and backups, and says what to do.')
      .argument('<path...>', 'directories, or JSON files')
      .option('--exclude <name...>', 'files and directories that are passed over, by their names'),
    checked,
    numbers,
    told,
  )
    .addHelpText('after', AFTER)
    .action((paths: string[], { exclude = [], ...options }: Options) =>
      run(options, async ({ out, signal }) => {
        const wanted: Wanted = { schema: await loadSchema(options.schema), numbers: options.numbers }
        const progress = out.progress('checking', undefined, (count) => plural(count, 'file'))
        const findings: Finding[] = []
        let files = 0
        const onFile = () => progress(++files)
        for (const path of paths) {
          if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
            for await (const one of checkDirectory(path, new Set(exclude), wanted, { signal, onFile }))
              findings.push(one)
            findings.push(...(await checkLeftovers(path, signal)))
          } else {
            findings.push(...(await checkFile(path, wanted)))
            onFile()
          }
        }
        const problems = findings.filter(({ level }) => level === 'problem').length
        out.result(
          { paths, files, problems, findings },
          ...describe(out, findings),
          summary(out, files, problems),
        )
        return problems > 0 ? EXIT_FAILED : 0
      }),
    )

async function checkFile(path: string, wanted: Wanted): Promise<Finding[]> {
  if (/\.(jsonl|ndjson)$/.test(path)) return checkLines(path)
  const findings = await checkIndex(path, await namesBeside(path), wanted)
  const { held, holder } = await inspectIndexLock(path).catch(() => ({ held: false, holder: undefined }))
  if (!held) return findings
  const message = holder ? `locked: ${heldBy(holder)}` : 'locked: a living process has it'
  return [...findings, { path, level: 'note', kind: 'lock', message }]
}

function summary({ colors: { green, red } }: Output, files: number, problems: number): string {
  const verdict = problems === 0 ? green('no problem') : red(plural(problems, 'problem'))
  return `${plural(files, 'file')} checked: ${verdict}`
}

/** A tree: the directories, and in each what was found. */
function describe({ colors: { bold, red, yellow, cyan } }: Output, findings: Finding[]): string[] {
  const folders = [...new Set(findings.map(({ path }) => dirname(path)))].sort()
  return folders.flatMap((folder) => {
    const here = findings.filter(({ path }) => dirname(path) === folder)
    const lines = here.flatMap(({ path, level, message, advice, command }) => [
      `  ${level === 'problem' ? red('!') : yellow('·')} ${named(basename(path))}`,
      ...table([['   ', named(message)]]),
      ...(advice ? table([['   ', cyan(`-> ${named(advice)}${command ? ':' : ''}`)]]) : []),
      // Not wrapped: it is there to be copied.
      ...(command ? [cyan(`     ${advice ? '  ' : '->'} ${command}`)] : []),
    ])
    return [bold(named(folder)), ...lines, '']
  })
}
