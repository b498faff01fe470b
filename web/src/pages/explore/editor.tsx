// The field of one expression: a plain text area at once, and CodeMirror in its place when that is loaded. What was typed
// meanwhile, the selection and the focus are kept.
import { useEffect, useImperativeHandle, useRef, useState } from 'preact/hooks';
import type { Ref } from 'preact';
import type { Editor } from './codemirror';
import { faultLines, type Fault } from './fault';
import { Icon } from '../../ui/icon';

export interface FieldHandle {
  focus: () => void;
  select: (from: number, to: number) => void;
  insert: (text: string) => void;
}

export interface FieldProps {
  letter: string;
  text: string;
  /** The text as it is now. `text` may be that of a render ago, and typing must not be undone by it. */
  read: () => string;
  fault: Fault | undefined;
  onChange: (text: string) => void;
  onRun: () => void;
  onFocus: () => void;
  handle: Ref<FieldHandle>;
}

const PLACEHOLDER = 'An expression, as rate(node_cpu_seconds_total[5m]). Enter runs it.';

export function Field(props: FieldProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const [ready, setReady] = useState(false);
  const label = `Expression ${props.letter}`;

  useEffect(() => {
    let gone = false;
    import('./codemirror').then(
      ({ openEditor }) => {
        if (gone) return;
        const typed = area.current;
        const focused = document.activeElement === typed && typed !== null;
        editor.current = openEditor({
          parent: host.current!,
          text: latest.current.text,
          label,
          placeholder: PLACEHOLDER,
          onChange: (text) => latest.current.onChange(text),
          onRun: () => latest.current.onRun(),
          onFocus: () => latest.current.onFocus(),
        });
        const at = typed === null ? undefined : { from: typed.selectionStart, to: typed.selectionEnd };
        setReady(true);
        if (focused && at !== undefined) requestAnimationFrame(() => editor.current?.select(at.from, at.to));
      },
      () => undefined, // Not loaded: the plain field does all but complete.
    );
    return () => {
      gone = true;
      editor.current?.close();
      editor.current = undefined;
    };
  }, []);

  useEffect(() => editor.current?.setText(latest.current.read()), [props.text, ready]);
  useEffect(() => editor.current?.setFault(props.fault), [props.fault?.from, props.fault?.to, props.fault?.message, ready]);

  useImperativeHandle(
    props.handle,
    () => ({
      focus: () => (editor.current ?? area.current)?.focus(),
      select: (from, to) => {
        if (editor.current !== undefined) editor.current.select(from, to);
        else {
          area.current?.focus();
          area.current?.setSelectionRange(from, to);
        }
      },
      insert: (text) => {
        if (editor.current !== undefined) editor.current.insert(text);
        else if (area.current !== null) {
          area.current.setRangeText(text, area.current.selectionStart, area.current.selectionEnd, 'end');
          latest.current.onChange(area.current.value);
        }
      },
    }),
    [],
  );

  return (
    <div class={'expr-field' + (props.fault !== undefined ? ' wrong' : '')}>
      <div ref={host} class="expr-editor" hidden={!ready} />
      {!ready && (
        <textarea
          ref={area}
          class="expr-plain"
          rows={Math.max(1, props.text.split('\n').length)}
          aria-label={label}
          placeholder={PLACEHOLDER}
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          value={props.text}
          onInput={(event) => props.onChange(event.currentTarget.value)}
          onFocus={props.onFocus}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            props.onRun();
          }}
        />
      )}
    </div>
  );
}

/** The error under the text: the line it is in, a caret under each character at fault, the sentence. */
export function FaultNote({ text, fault }: { text: string; fault: Fault }) {
  const { line, before, marks } = faultLines(text, fault);
  return (
    <div class="expr-fault" role="alert">
      <pre aria-hidden="true">
        {line}
        {'\n'}
        <span class="expr-pad">{before}</span>
        <b>{marks}</b>
      </pre>
      <p>
        <Icon name="alert" />
        <span>
          {fault.message}
          <span class="faint">
            {' '}
            line {fault.line}, column {fault.column}
          </span>
        </span>
      </p>
    </div>
  );
}
