namespace IlgpuLoader.Formats.Pickle;

/// <summary>The opcodes that make containers and objects of what is on the stack, or put something into them.</summary>
/// <param name="settings">Says what stands for something kept beside the pickle.</param>
/// <param name="stack">The stack.</param>
/// <param name="budget">Counts what is made.</param>
/// <param name="depth">Keeps containers from lying too deep in one another.</param>
/// <param name="errors">Names the opcode that finds something else than it takes.</param>
internal sealed class PickleBuilder(
    PickleSettings settings, PickleStack stack, PickleBudget budget, PickleDepth depth, PickleErrors errors)
{
    /// <summary>EMPTY_LIST.</summary>
    public void PushList()
    {
        budget.AddValue(PickleBudget.CollectionBytes);
        stack.Push(new PickleList());
    }

    /// <summary>EMPTY_DICT.</summary>
    public void PushDictionary()
    {
        budget.AddValue(PickleBudget.CollectionBytes);
        stack.Push(new PickleDictionary());
    }

    /// <summary>EMPTY_SET.</summary>
    public void PushSet()
    {
        budget.AddValue(PickleBudget.CollectionBytes);
        stack.Push(new PickleSet());
    }

    /// <summary>TUPLE1, TUPLE2 and TUPLE3.</summary>
    public void PushTuple(int count) => stack.Push(Tuple(stack.Pop(count)));

    /// <summary>TUPLE.</summary>
    public void PushMarkedTuple() => stack.Push(Tuple(stack.PopMark()));

    /// <summary>LIST.</summary>
    public void PushMarkedList()
    {
        budget.AddValue(PickleBudget.CollectionBytes);
        var list = new PickleList();
        AddItems(list, list.Items, stack.PopMark());
        stack.Push(list);
    }

    /// <summary>DICT.</summary>
    public void PushMarkedDictionary()
    {
        budget.AddValue(PickleBudget.CollectionBytes);
        var dictionary = new PickleDictionary();
        AddEntries(dictionary, dictionary.Entries, stack.PopMark());
        stack.Push(dictionary);
    }

    /// <summary>FROZENSET.</summary>
    public void PushMarkedSet()
    {
        budget.AddValue(PickleBudget.CollectionBytes);
        var set = new PickleSet();
        AddItems(set, set.Items, stack.PopMark());
        stack.Push(set);
    }

    /// <summary>APPEND.</summary>
    public void Append() => AddToList(stack.Pop(1));

    /// <summary>APPENDS.</summary>
    public void AppendMarked() => AddToList(stack.PopMark());

    /// <summary>SETITEM.</summary>
    public void SetItem() => AddToDictionary(stack.Pop(2));

    /// <summary>SETITEMS.</summary>
    public void SetMarkedItems() => AddToDictionary(stack.PopMark());

    /// <summary>ADDITEMS.</summary>
    public void AddMarkedItems()
    {
        var items = stack.PopMark();
        switch (stack.Peek())
        {
            case PickleSet set:
                AddItems(set, set.Items, items);
                break;
            case PickleObject { Global.Kind: PickleGlobalKind.Unknown } made:
                AddItems(made, ItemsOf(made), items);
                break;
            case var other:
                throw errors.Unexpected("a set to add to", other);
        }
    }

    /// <summary>REDUCE.</summary>
    public void Reduce()
    {
        var arguments = Arguments(stack.Pop());
        var callee = stack.Pop() switch
        {
            PickleGlobal { Kind: not PickleGlobalKind.Constant } global => global,
            PickleObject { Global: { Kind: PickleGlobalKind.Unknown } global } => global,
            var other => throw errors.Unexpected("a function or class to call", other),
        };
        _ = PushObject(callee, arguments);
    }

    /// <summary>NEWOBJ.</summary>
    public void MakeObject()
    {
        var arguments = Arguments(stack.Pop());
        _ = PushObject(Class(stack.Pop()), arguments);
    }

    /// <summary>NEWOBJ_EX.</summary>
    public void MakeObjectWithNames()
    {
        var named = stack.Pop() is var top && top is PickleDictionary dictionary
            ? dictionary
            : throw errors.Unexpected("a dict of arguments by name", top);
        var arguments = Arguments(stack.Pop());
        var made = PushObject(Class(stack.Pop()), arguments);
        made.NamedArguments = named;
        depth.Put(named, made);
    }

    /// <summary>BUILD.</summary>
    public void Build()
    {
        var state = stack.Pop();
        if (stack.Peek() is not PickleObject
            {
                Global.Kind: PickleGlobalKind.Class or PickleGlobalKind.Dictionary or PickleGlobalKind.Unknown,
            } made)
        {
            throw errors.Unexpected("an object of a class to give a state to", stack.Peek());
        }

        made.State = state;
        depth.Put(state, made);
    }

    /// <summary>BINPERSID.</summary>
    public void PushStorage()
    {
        var id = stack.Pop() is var top && top is PickleTuple tuple
            ? tuple
            : throw errors.Unexpected("a tuple that names a storage", top);
        PushStorage(id);
    }

    /// <summary>PERSID, of which the text is all there is.</summary>
    public void PushNamedStorage(string id) => PushStorage(Tuple([id]));

    /// <summary>INST: an object whose arguments are all to the mark.</summary>
    public void MakeMarkedObject(PickleGlobal global) => _ = PushObject(global, Tuple(stack.PopMark()));

    /// <summary>OBJ: an object whose class and arguments are all to the mark.</summary>
    public void MakeMarkedObject()
    {
        var items = stack.PopMark();
        if (items.IsEmpty)
        {
            throw errors.Invalid("needs a class above the MARK, and nothing is there");
        }

        var made = Class(items[0]);
        _ = PushObject(made, Tuple(items[1..]));
    }

    private static PickleGlobal? ClassOrNull(object value) => value switch
    {
        PickleGlobal { Kind: not (PickleGlobalKind.Constant or PickleGlobalKind.Function) } global => global,
        PickleObject { Global: { Kind: PickleGlobalKind.Unknown } global } => global,
        _ => null,
    };

    private PickleGlobal Class(object value) =>
        ClassOrNull(value) ?? throw errors.Unexpected("a class to make an object of", value);

    private PickleTuple Arguments(object value) =>
        value as PickleTuple ?? throw errors.Unexpected("a tuple of arguments", value);

    private PickleTuple Tuple(ReadOnlySpan<object> items)
    {
        if (items.IsEmpty)
        {
            return PickleTuple.Empty;
        }

        budget.AddTuple(items.Length);
        var tuple = new PickleTuple(items.ToArray());
        depth.Put(items, tuple);
        return tuple;
    }

    private PickleObject PushObject(PickleGlobal global, PickleTuple arguments)
    {
        budget.AddValue(PickleBudget.ObjectBytes);
        var made = new PickleObject(global, arguments) { Offset = (int)errors.OffsetInPickle };
        depth.Put(arguments, made);
        stack.Push(made);
        return made;
    }

    private void PushStorage(PickleTuple id)
    {
        budget.AddValue(PickleBudget.StorageBytes);
        var reference = new PickleStorageReference(id);
        depth.Put(id, reference);
        stack.Push(settings.References?.Invoke(reference) ?? reference);
    }

    private void AddToList(ReadOnlySpan<object> items)
    {
        switch (stack.Peek())
        {
            case PickleList list:
                AddItems(list, list.Items, items);
                break;
            case PickleObject { Global.Kind: PickleGlobalKind.Unknown } made:
                AddItems(made, ItemsOf(made), items);
                break;
            case var other:
                throw errors.Unexpected("a list to append to", other);
        }
    }

    private void AddToDictionary(ReadOnlySpan<object> keysAndValues)
    {
        switch (stack.Peek())
        {
            case PickleDictionary dictionary:
                AddEntries(dictionary, dictionary.Entries, keysAndValues);
                break;
            case PickleObject { Global.Kind: PickleGlobalKind.Dictionary or PickleGlobalKind.Unknown } made:
                AddEntries(made, EntriesOf(made), keysAndValues);
                break;
            case var other:
                throw errors.Unexpected("a dict, OrderedDict or Counter to put entries into", other);
        }
    }

    private List<object> ItemsOf(PickleObject made)
    {
        if (made.ItemList is null)
        {
            budget.Add(PickleBudget.CollectionBytes);
            made.ItemList = [];
        }

        return made.ItemList;
    }

    private List<KeyValuePair<object, object>> EntriesOf(PickleObject made)
    {
        if (made.EntryList is null)
        {
            budget.Add(PickleBudget.CollectionBytes);
            made.EntryList = [];
        }

        return made.EntryList;
    }

    private void AddItems(PickleContainer into, List<object> list, ReadOnlySpan<object> items)
    {
        budget.Grow(list, items.Length);
        list.AddRange(items);
        depth.Put(items, into);
    }

    private void AddEntries(
        PickleContainer into, List<KeyValuePair<object, object>> entries, ReadOnlySpan<object> keysAndValues)
    {
        if ((keysAndValues.Length & 1) != 0)
        {
            throw errors.Invalid($"needs keys and values above the MARK, and finds {keysAndValues.Length} values: a key without one");
        }

        budget.Grow(entries, keysAndValues.Length / 2);
        for (var position = 0; position < keysAndValues.Length; position += 2)
        {
            entries.Add(new(keysAndValues[position], keysAndValues[position + 1]));
        }

        depth.Put(keysAndValues, into);
    }
}
