import { policies } from '../index.js'
import { type OptionName, optionRows } from './options.js'
import type { Verb } from './verb.js'

// What a shell completes, written from the table of verbs: their names, their options, and of their arguments what a word of the
// usage stands for.

/** The shells a script can be written for. */
export const shells: Readonly<Record<string, (verbs: readonly Verb[]) => string>> = { bash, zsh }

/** A word of a usage, and what lists the things it may be. The functions are in the scripts. */
const kinds: readonly (readonly [word: RegExp, list: 'dps' | 'devices' | 'files' | 'verbs'])[] = [
  [/\bDP\b/, 'dps'],
  [/\b(IFACE|PORT|DEV)\b/, 'devices'],
  [/\bFILE\b/, 'files'],
  [/\bVERB\b/, 'verbs'],
]

/** Words that stand for themselves, such as `v4` and `bash`. */
const plainWords = (usage: string): string[] =>
  usage.split(/[^-a-z0-9=_]+/).filter((word) => /^[a-z][-a-z0-9_]*=?$/.test(word))

const listsOf = ({ usage }: Verb) => kinds.flatMap(([word, list]) => (word.test(usage) ? [list] : []))

interface Row {
  readonly short?: string
  readonly argument?: string
  readonly text: string
  readonly everywhere?: true
}

const rows = Object.entries(optionRows) as [OptionName, Row][]

/** The options that mean something to a verb, and those that every verb takes. */
function optionsOf({ options }: Verb): [OptionName, Row][] {
  return rows.filter(([name]) => options.includes(name) || general.includes(name))
}

const general: readonly OptionName[] = ['read-only', 'timeout', 'help']

function spellings([name, { short, argument }]: [OptionName, Row]): string[] {
  const long = argument === undefined ? `--${name}` : `--${name}=`
  return short === undefined ? [long] : [long, `-${short}`]
}

/** Options that take the next word as theirs. */
const withArgument = rows.filter(([, { argument }]) => argument !== undefined)

function bash(verbs: readonly Verb[]): string {
  const taking = withArgument.flatMap(([name, { short }]) => [`--${name}`, ...(short ? [`-${short}`] : [])])
  const cases = verbs.map((verb) => {
    const lists = [...listsOf(verb), ...plainWords(verb.usage)]
    const options = optionsOf(verb).flatMap(spellings)
    return `    ${verb.name}) options='${options.join(' ')}' lists='${lists.join(' ')}' ;;\n`
  })
  return `# Completion of hwacc for bash. Read it with: source <(hwacc completion bash)
_hwacc() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}"
  local verb='' options='${rows.flatMap(spellings).join(' ')}' lists='verbs' words='' list index
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "\${COMP_WORDS[index]}" in
      ${taking.join('|')}) [ "\${COMP_WORDS[index + 1]}" = '=' ] && ((index++)); ((index++)) ;;
      -*) ;;
      *) verb="\${COMP_WORDS[index]}"; break ;;
    esac
  done
  [ "$previous" = '=' ] && previous="\${COMP_WORDS[COMP_CWORD - 2]}"
  [ "$current" = '=' ] && current=''
  if [ "$previous" = --policy ]; then
    COMPREPLY=($(compgen -W '${Object.keys(policies).join(' ')}' -- "$current"))
    return
  fi
  case "$verb" in
${cases.join('')}  esac
  if [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
    [[ "\${COMPREPLY[0]}" == *= ]] && compopt -o nospace 2>/dev/null
    return
  fi
  for list in $lists; do
    case "$list" in
      verbs) words+=" ${verbs.map(({ name }) => name).join(' ')}" ;;
      dps) words+=" $(hwacc dump-dps 2>/dev/null)" ;;
      devices) [ -d /sys/class/net ] && words+=" $(ls /sys/class/net)" ;;
      files) COMPREPLY+=($(compgen -f -- "$current")) ;;
      *) words+=" $list" ;;
    esac
  done
  COMPREPLY+=($(compgen -W "$words" -- "$current"))
  [[ "\${COMPREPLY[0]}" == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _hwacc hwacc
`
}

function zsh(verbs: readonly Verb[]): string {
  const described = verbs.map(
    ({ name, summary }) => `    ${quoted(`${name}:${summary.replaceAll(':', '\\:')}`)}\n`,
  )
  const cases = verbs.map((verb) => {
    const specs = optionsOf(verb).map(specOf)
    const lists: string[] = listsOf(verb).map((list) => functions[list])
    const words = plainWords(verb.usage)
    if (words.length > 0) lists.push(`compadd -S '' -- ${words.join(' ')}`)
    // Reached where a word is wanted; what each list offers is offered.
    const rest = lists.length === 0 ? '' : ` ${quoted(`*:argument:{ ${lists.join('; ')} }`)}`
    return `    ${verb.name}) _arguments -s ${specs.join(' ')}${rest} ;;\n`
  })
  return `#compdef hwacc
# Completion of hwacc for zsh. Read it with: source <(hwacc completion zsh)
_hwacc_verbs() {
  local -a verbs=(
${described.join('')}  )
  _describe verb verbs
}
_hwacc_dps() {
  compadd -- \${(f)"$(hwacc dump-dps 2>/dev/null)"}
}
_hwacc_devices() {
  compadd -- /sys/class/net/*(N:t)
}
_hwacc() {
  local curcontext="$curcontext" state line
  local -A opt_args
  _arguments -C -s ${rows.map(specOf).join(' ')} '1:verb:_hwacc_verbs' '*::argument:->rest'
  [[ "$state" == rest ]] || return 0
  case "$line[1]" in
${cases.join('')}  esac
}
compdef _hwacc hwacc
`
}

const functions = {
  dps: '_hwacc_dps',
  devices: '_hwacc_devices',
  files: '_files',
  verbs: '_hwacc_verbs',
} as const

/** An option as `_arguments` wants it. */
function specOf([name, { short, argument, text }]: [OptionName, Row]): string {
  const about = `[${text.replace(/[[\]\\]/g, '\\$&').replaceAll(':', '\\:')}]`
  const values =
    name === 'policy'
      ? `:policy:(${Object.keys(policies).join(' ')})`
      : argument === undefined
        ? ''
        : `:${argument}:`
  const long = argument === undefined ? `--${name}` : `--${name}=`
  if (short === undefined) return quoted(`${long}${about}${values}`)
  return `'(-${short} --${name})'{-${short},${long}}${quoted(`${about}${values}`)}`
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
