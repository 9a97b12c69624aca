// README.md is run: each snippet in an empty folder, as a user would save it, with the package under its name.

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkLinks, problemOf } from '../scripts/check/links.mjs'
import { root, runNode } from '../scripts/tools.mjs'

const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = '', code = '']) => ({
  language,
  code,
}))
const snippets = blocks.filter(({ language }) => /^[jt]s$/.test(language))

/** What a snippet must have done, by the last function that it calls. */
const outcomes: Record<string, (read: (name: string) => string, output: string) => void> = {
  "atomicIndexUpdate('content/index.json'": (read) => {
    expect(JSON.parse(read('content/hello.json'))).toEqual({ slug: 'hello', title: 'Hello, world' })
    expect(JSON.parse(read('content/index.json'))).toEqual({ hello: 'Hello, world' })
  },
  "atomicWrite('settings.json'": (read, output) => {
    expect(read('settings.json')).toBe('{ "theme": "dark" }')
    const [, printed] = /console\.log\(\{ written, durable \}\) \/\/ (.*)/.exec(readme) ?? []
    // In memory nothing is durable.
    expect(output.trim()).toBe(
      /durable: false/.test(output) ? printed?.replace('durable: true', 'durable: false') : printed,
    )
  },
  "atomicIndexUpdate('visits.json'": (read) => {
    expect(JSON.parse(read('visits.json'))).toEqual({ '/': 2, '/about': 1 })
  },
  "atomicIndexUpdate('settings.jsonc'": (read) => {
    expect(read('settings.jsonc')).toBe(
      '{\n  // Bright rooms\n  "theme": "dark",\n  "fonts": ["serif"], // one is enough\n}\n',
    )
  },
  "atomicIndexPatch('tags.json'": (_, output) => {
    expect(output).toBe('{ rust: 3, node: 5 }\n')
  },
  "atomicIndexPatch('blog.json'": (read, output) => {
    expect(output).toBe("Hello\n[ 'posts' ]\nhello\n")
    expect(JSON.parse(read('blog.json'))).toEqual({ posts: [{ slug: 'hello', title: 'Hello' }] })
  },
  "atomicIndexPatch('list.json'": (read, output) => {
    expect(output).toBe("{ posts: [ { slug: 'a' } ] }\n")
    expect(JSON.parse(read('list.json'))).toEqual({ posts: [{ slug: 'hello', title: 'Hello' }] })
  },
  "recoverIndex('tags.json'": (read, output) => {
    expect([JSON.parse(read('tags.json')), output]).toEqual([{ rust: 3 }, 'rebuilt\n'])
  },
  "watchIndex('menu.json'": (_, output) => {
    expect(output).toBe('undefined -> { items: 1 }\n{ items: 1 } -> { items: 2 }\n')
  },
  "inspectDirectory('.'": (_, output) => {
    expect(output).toBe('0 0\nReaders find the old file or the new one at any time.\n')
  },
  "withIndexLock('search.json'": (read) => {
    expect(JSON.parse(read('search.json'))).toEqual({ rebuilt: true })
  },
  "appendLines('events.jsonl'": (read, output) => {
    expect(read('events.jsonl')).toBe('{"user":1}\n{"user":2}\n')
    expect(output).toBe('1\n2\n')
  },
  'atomicWriteAll(pages': (read) => {
    expect(['index', 'about', 'contact'].map((name) => read(`public/${name}.html`))).toEqual([
      '<h1>index</h1>',
      '<h1>about</h1>',
      '<h1>contact</h1>',
    ])
  },
  "atomicTransaction('content'": (read, output) => {
    const written = ['{"title":"Hello"}', '{\n  "hello": "Hello"\n}']
    expect(['content/posts/hello.json', 'content/index.json'].map(read)).toEqual(written)
    expect(output).toContain(`'${written[0]}'`)
  },
  "AtomicFile.open('sitemap.txt'": (read) => {
    expect(read('sitemap.txt')).toBe(
      'https://example.org/\nhttps://example.org/about\nhttps://example.org/contact\n',
    )
  },
  "AtomicFile.open('export.csv'": (read) => {
    expect(read('export.csv')).toBe('id,title\n1,Hello\n')
  },
  "atomicWrite('observed.txt'": (_, output) => {
    expect(output).toBe('observed.txt written true\n1\n')
  },
  "atomicDirectory('public'": (read) => {
    expect(read('public/index.html')).toBe('<h1>New</h1>')
    expect(read('mirror/index.html')).toBe('<h1>New</h1>')
  },
}

/** Where the snippets run. The package is beside it: a look at what they leave must not go into its build folders. */
let folder: string

beforeEach(() => {
  const parent = mkdtempSync(join(tmpdir(), 'atomic-readme-'))
  mkdirSync(join(parent, 'node_modules/@pipeline'), { recursive: true })
  symlinkSync(root, join(parent, 'node_modules/@pipeline/atomic'), 'junction')
  folder = join(parent, 'project')
  mkdirSync(folder)
})

afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

describe('each snippet of README.md runs as printed, with', () => {
  test.each(Object.entries(outcomes))('%s', async (call, expectOutcome) => {
    const found = snippets.filter(({ code }) => code.includes(call))
    expect(found).toHaveLength(1)
    const [{ language, code } = { language: '', code: '' }] = found
    const file = join(folder, `snippet.${language === 'ts' ? 'mts' : 'mjs'}`)
    writeFileSync(file, code)
    // Plain Node runs JavaScript. `await using` needs a compiler on the Node that this package asks for.
    const loader =
      language === 'ts' ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href] : []
    const { code: exit, stdout, output } = await runNode([...loader, file], { cwd: folder, quiet: true })
    expect(exit, output).toBe(0)
    expectOutcome((name) => readFileSync(join(folder, name), 'utf8'), stdout)
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    const left = names.filter((name) => /atomic-(tmp|old)|\.lock$/.test(name))
    expect(left).toEqual([])
  })

  test('none left out', () => {
    const known = Object.keys(outcomes)
    expect(snippets.filter(({ code }) => !known.some((call) => code.includes(call)))).toEqual([])
  })
})

describe('README.md', () => {
  test('names commands that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const named = [...readme.matchAll(/npm (?:run )?(test|(?<=run )[\w:-]+)/g)].map(([, name]) =>
      String(name),
    )
    expect(named.length).toBeGreaterThan(4)
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })

  test('links to what is there, also from the page of a package', () => {
    expect(checkLinks()).toBe('')
    const repository = 'https://github.com/pipeline/atomic'
    expect(problemOf('docs/design.md', ['docs'])).toContain('is not in the package')
    expect(problemOf(`${repository}/blob/main/docs/none.md`, [])).toContain('has no docs/none.md')
    expect(problemOf(`${repository}/tree/main/examples/site#top`, [])).toBe('')
    expect(problemOf('index.d.ts', ['index.d.ts'])).toBe('')
  })
})
