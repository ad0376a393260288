namespace IlgpuLoader.Formats.Pickle;

/// <summary>
/// Python's stack machine of pickle protocols 0 to 5, which makes inert values and never looks up, calls or constructs
/// anything that a pickle names. Not safe for several threads.
/// </summary>
internal sealed class PickleReader
{
    private const int LatestProtocol = 5;

    // Some tens of microseconds of opcodes; a pickle at its limits takes half a second, which is too long to be stopped only behind it.
    private const int OpcodesBetweenChecks = 4096;

    private readonly PickleSettings _settings;
    private readonly PickleErrors _errors;
    private readonly PickleBudget _budget;
    private readonly PickleInput _input;
    private readonly PickleStack _stack;
    private readonly PickleMemo _memo;
    private readonly PickleNumbers _numbers;
    private readonly PickleGlobals _globals;
    private readonly PickleDepth _depth;
    private readonly PickleBuilder _builder;

    /// <summary>Begins with the first byte.</summary>
    /// <param name="pickle">The bytes; several pickles may follow one another, and anything else behind them.</param>
    /// <param name="settings">What is accepted; limits on numbers and memory are of all the pickles together.</param>
    public PickleReader(ReadOnlyMemory<byte> pickle, PickleSettings settings)
    {
        _settings = settings;
        _errors = new PickleErrors(settings);
        _budget = new PickleBudget(settings, _errors);
        _input = new PickleInput(pickle, settings, _errors);
        _stack = new PickleStack(_budget, _errors);
        _memo = new PickleMemo(settings, _budget, _errors);
        _numbers = new PickleNumbers(settings, _budget, _errors);
        _globals = new PickleGlobals(settings, _budget, _errors);
        _depth = new PickleDepth(settings, _errors);
        _builder = new PickleBuilder(settings, _stack, _budget, _depth, _errors);
    }

    /// <summary>How many bytes have been consumed: where the next pickle would begin.</summary>
    public int Position => _input.Position;

    /// <summary>What has been counted of <see cref="PickleSettings.MaximumPickleExpansionBytes"/>, with what was spent before.</summary>
    public long SpentBytes => _budget.Bytes;

    /// <summary>What has been counted of <see cref="PickleSettings.MaximumPickleValues"/>, with what was spent before.</summary>
    public int SpentValues => _budget.Values;

    /// <summary>
    /// Reads one pickle, from <see cref="Position"/> to its STOP: <see cref="PickleNone"/>, <see cref="bool"/>, <see cref="long"/>,
    /// <see cref="System.Numerics.BigInteger"/> (what does not fit a long), <see cref="double"/>, <see cref="string"/>, an array of
    /// bytes, <see cref="PickleList"/>, <see cref="PickleTuple"/>, <see cref="PickleDictionary"/>, <see cref="PickleSet"/>,
    /// <see cref="PickleGlobal"/>, <see cref="PickleObject"/> or <see cref="PickleStorageReference"/>. The same value of the pickle
    /// is the same instance, and containers may hold themselves. After a failure the reader is of no more use.
    /// </summary>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="UnsafePickleException">A global or an opcode is refused.</exception>
    /// <exception cref="InvalidCheckpointException">The pickle breaks a rule, or ends early.</exception>
    /// <exception cref="CheckpointLimitException">A limit is exceeded.</exception>
    public object Read(CancellationToken cancellationToken = default)
    {
        _errors.Start = Position;
        _input.Begin();
        _stack.Clear();
        _memo.Clear();
        _depth.Clear();
        for (var count = 1L; ; count++)
        {
            if (count % OpcodesBetweenChecks == 0)
            {
                cancellationToken.ThrowIfCancellationRequested();
            }

            var opcode = _input.ReadOpcode();
            _settings.Recorder?.Add(opcode);
            if (opcode == PickleOpcode.Stop)
            {
                break;
            }

            Execute(opcode);
        }

        // What else is on the stack is dropped, as Python does.
        var value = _stack.Pop();
        _input.Finish();
        _depth.Finish(value);
        return value;
    }

    private void Execute(PickleOpcode opcode)
    {
        switch (opcode)
        {
            case PickleOpcode.BinGet:
                _stack.Push(_memo.Get((uint)_input.ReadByte()));
                break;
            case PickleOpcode.LongBinGet:
                _stack.Push(_memo.Get(_input.ReadUInt32()));
                break;
            case PickleOpcode.Get:
                _stack.Push(_memo.Get(_numbers.Index(_input.ReadLine())));
                break;
            case PickleOpcode.BinPut:
                _memo.Put((uint)_input.ReadByte(), _stack.Peek());
                break;
            case PickleOpcode.LongBinPut:
                _memo.Put(_input.ReadUInt32(), _stack.Peek());
                break;
            case PickleOpcode.Put:
                _memo.Put(_numbers.Index(_input.ReadLine()), _stack.Peek());
                break;
            case PickleOpcode.Memoize:
                _memo.Add(_stack.Peek());
                break;
            case PickleOpcode.Mark:
                _stack.Mark();
                break;
            case PickleOpcode.Pop:
                _stack.Drop();
                break;
            case PickleOpcode.PopMark:
                _ = _stack.PopMark();
                break;
            case PickleOpcode.Duplicate:
                _stack.Push(_stack.Peek());
                break;
            case PickleOpcode.Protocol:
                ReadProtocol();
                break;
            case PickleOpcode.Frame:
                _input.ReadFrame();
                break;
            case PickleOpcode.None:
                _stack.Push(PickleNone.Instance);
                break;
            case PickleOpcode.NewTrue:
                _stack.Push(PickleNumbers.True);
                break;
            case PickleOpcode.NewFalse:
                _stack.Push(PickleNumbers.False);
                break;
            case PickleOpcode.BinInt:
                _stack.Push(_numbers.Integer(_input.ReadInt32()));
                break;
            case PickleOpcode.BinInt1:
                _stack.Push(_numbers.Integer(_input.ReadByte()));
                break;
            case PickleOpcode.BinInt2:
                _stack.Push(_numbers.Integer(_input.ReadUInt16()));
                break;
            case PickleOpcode.Int:
                _stack.Push(_numbers.IntegerOrBoolean(_input.ReadLine()));
                break;
            case PickleOpcode.Long:
                _stack.Push(_numbers.Long(_input.ReadLine()));
                break;
            case PickleOpcode.Long1:
                _stack.Push(_numbers.Integer(_input.Read(_input.ReadByte())));
                break;
            case PickleOpcode.Long4:
                _stack.Push(_numbers.Integer(_input.ReadSigned4()));
                break;
            case PickleOpcode.BinFloat:
                _stack.Push(_numbers.Float(_input.ReadDouble()));
                break;
            case PickleOpcode.Float:
                _stack.Push(_numbers.Float(_input.ReadLine()));
                break;
            case PickleOpcode.ShortBinUnicode:
                _stack.Push(Text(_input.ReadString1()));
                break;
            case PickleOpcode.BinUnicode:
                _stack.Push(Text(_input.ReadString4()));
                break;
            case PickleOpcode.BinUnicode8:
                _stack.Push(Text(_input.ReadString8()));
                break;
            case PickleOpcode.Unicode:
                _stack.Push(EscapedText(_input.ReadLine()));
                break;
            case PickleOpcode.ShortBinString:
                _stack.Push(Python2Text(_input.ReadString1()));
                break;
            case PickleOpcode.BinString:
                _stack.Push(Python2Text(_input.ReadSignedString4()));
                break;
            case PickleOpcode.String:
                _stack.Push(Literal(_input.ReadLine()));
                break;
            case PickleOpcode.ShortBinBytes:
                _stack.Push(ByteString(_input.ReadString1()));
                break;
            case PickleOpcode.BinBytes:
                _stack.Push(ByteString(_input.ReadString4()));
                break;
            case PickleOpcode.BinBytes8:
            case PickleOpcode.ByteArray8:
                _stack.Push(ByteString(_input.ReadString8()));
                break;
            case PickleOpcode.Global:
                _stack.Push(NamedGlobal());
                break;
            case PickleOpcode.StackGlobal:
                _stack.Push(StackGlobal());
                break;
            case PickleOpcode.EmptyTuple:
                _stack.Push(PickleTuple.Empty);
                break;
            case PickleOpcode.Tuple1:
                _builder.PushTuple(1);
                break;
            case PickleOpcode.Tuple2:
                _builder.PushTuple(2);
                break;
            case PickleOpcode.Tuple3:
                _builder.PushTuple(3);
                break;
            case PickleOpcode.Tuple:
                _builder.PushMarkedTuple();
                break;
            case PickleOpcode.EmptyList:
                _builder.PushList();
                break;
            case PickleOpcode.List:
                _builder.PushMarkedList();
                break;
            case PickleOpcode.Append:
                _builder.Append();
                break;
            case PickleOpcode.Appends:
                _builder.AppendMarked();
                break;
            case PickleOpcode.EmptyDict:
                _builder.PushDictionary();
                break;
            case PickleOpcode.Dict:
                _builder.PushMarkedDictionary();
                break;
            case PickleOpcode.SetItem:
                _builder.SetItem();
                break;
            case PickleOpcode.SetItems:
                _builder.SetMarkedItems();
                break;
            case PickleOpcode.EmptySet:
                _builder.PushSet();
                break;
            case PickleOpcode.FrozenSet:
                _builder.PushMarkedSet();
                break;
            case PickleOpcode.AddItems:
                _builder.AddMarkedItems();
                break;
            case PickleOpcode.Reduce:
                _builder.Reduce();
                break;
            case PickleOpcode.NewObject:
                _builder.MakeObject();
                break;
            case PickleOpcode.NewObjectEx:
                _builder.MakeObjectWithNames();
                break;
            case PickleOpcode.Build:
                _builder.Build();
                break;
            case PickleOpcode.BinPersId:
                _builder.PushStorage();
                break;
            default:
                Refuse(opcode);
                break;
        }
    }

    // What no checkpoint needs: refused, or in a record made inert so that what follows is read too.
    private void Refuse(PickleOpcode opcode)
    {
        if (PickleOpcodes.Name(opcode) is null)
        {
            throw _errors.Unknown();
        }

        _globals.RefuseOpcode();
        switch (opcode)
        {
            case PickleOpcode.Inst:
                _builder.MakeMarkedObject(NamedGlobal());
                break;
            case PickleOpcode.Obj:
                _builder.MakeMarkedObject();
                break;
            case PickleOpcode.PersId:
                _builder.PushNamedStorage(Text(_input.ReadLine()));
                break;
            case PickleOpcode.Ext1:
                PushExtension((uint)_input.ReadByte());
                break;
            case PickleOpcode.Ext2:
                PushExtension((uint)_input.ReadUInt16());
                break;
            case PickleOpcode.Ext4:
                PushExtension(_input.ReadUInt32());
                break;
            case PickleOpcode.NextBuffer:
                _stack.Push(PickleNone.Instance);
                break;
            default:
                // READONLY_BUFFER leaves the top as it is.
                _ = _stack.Peek();
                break;
        }
    }

    private void ReadProtocol()
    {
        var protocol = _input.ReadByte();
        if (protocol > LatestProtocol)
        {
            throw _errors.Invalid($"names protocol {protocol}, and the latest is {LatestProtocol}");
        }
    }

    private string Text(ReadOnlySpan<byte> bytes)
    {
        _budget.AddText(bytes.Length);
        return PickleText.FromUtf8(bytes) ?? throw _errors.Invalid("has text that is not UTF-8");
    }

    private string EscapedText(ReadOnlySpan<byte> bytes)
    {
        _budget.AddText(bytes.Length);
        _budget.AddArray(bytes.Length, sizeof(char));
        return PickleText.FromRawUnicodeEscape(bytes) ?? throw _errors.Invalid("has an escape that names no character");
    }

    private object Python2Text(ReadOnlySpan<byte> bytes)
    {
        _budget.AddText(bytes.Length);
        return PickleText.FromPython2(bytes);
    }

    private object Literal(ReadOnlySpan<byte> bytes)
    {
        _budget.AddText(bytes.Length);
        _budget.AddArray(bytes.Length, 1);
        return PickleText.FromLiteral(bytes) ?? throw _errors.Invalid("needs a literal in quotes with whole escapes, and finds none");
    }

    private byte[] ByteString(ReadOnlySpan<byte> bytes)
    {
        _budget.AddBytes(bytes.Length);
        return bytes.ToArray();
    }

    private PickleGlobal NamedGlobal()
    {
        var module = Text(_input.ReadLine());
        return _globals.Get(module, Text(_input.ReadLine()));
    }

    private PickleGlobal StackGlobal()
    {
        var name = _stack.Pop();
        var module = _stack.Pop();
        return (module, name) switch
        {
            (string moduleText, string nameText) => _globals.Get(moduleText, nameText),
            (string, _) => throw _errors.Unexpected("the text of a name", name),
            _ => throw _errors.Unexpected("the text of a module", module),
        };
    }

    // A number in copyreg's table of extensions, which stands for a global that only the writer's program knows.
    private void PushExtension(uint number)
    {
        _budget.AddValue(PickleBudget.ObjectBytes);
        _stack.Push(new PickleGlobal("copyreg", $"extension {number}", PickleGlobalKind.Unknown));
    }
}
