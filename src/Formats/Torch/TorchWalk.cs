using System.Globalization;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// Goes through the values of a pickle and names what it finds by the keys that lead there: tensors, and everything else
/// for the metadata. Keeps its own stack, and every visit counts against a limit: a pickle may lead back to itself, and may
/// name one value so often that no end would be seen. Not safe for several threads.
/// </summary>
/// <param name="records">The roles of globals.</param>
/// <param name="tensors">Reads tensors.</param>
/// <param name="values">Reads what is no tensor.</param>
/// <param name="wrappers">Finds what parameters hold.</param>
/// <param name="findings">Takes the values, and counts the memory.</param>
internal sealed class TorchWalk(TorchRecord records, TorchTensors tensors, TorchValues values, TorchWrappers wrappers, TorchFindings findings)
{
    // What a level takes for every child that it remembers.
    private const int ChildBytes = 16;

    // A level on the stack, and its owner among those above.
    private const int LevelBytes = 80;

    // Some tens of microseconds of visits.
    private const int VisitsBetweenChecks = 4096;

    private const string NoPlace = "which are arguments of records whose items have the same names";

    private const string NoState = "which are attributes of modules, but neither parameters nor buffers that are kept: state_dict has such only of classes that add them";

    private readonly TorchKeys _keys = new(records, values, findings);
    private readonly TorchEntries _entries = new(records, new TorchKeys(records, values, findings), findings);
    private readonly TorchSearch _tensors = new(value => IsTensor(value, records), findings);
    private readonly Stack<Level> _levels = [];

    // The containers that lead to where the walk is.
    private readonly HashSet<object> _above = new(ReferenceEqualityComparer.Instance);

    // What has been gone through below the attributes of modules, which often share one object of settings.
    private readonly HashSet<object> _attributes = new(ReferenceEqualityComparer.Instance);

    /// <summary>Goes through everything below a value.</summary>
    /// <param name="value">The value.</param>
    /// <param name="cancellationToken">Cancels the walk.</param>
    public void Run(object value, CancellationToken cancellationToken)
    {
        Visit(value, TorchPath.Top, isAttribute: false);
        for (var count = 1L; _levels.TryPeek(out var level); count++)
        {
            if (count % VisitsBetweenChecks == 0)
            {
                cancellationToken.ThrowIfCancellationRequested();
            }

            if (level.Next == level.Children.Count)
            {
                _ = _levels.Pop();
                _ = level.Owner is not null && _above.Remove(level.Owner);
                continue;
            }

            var (key, child) = level.Children[level.Next++];
            Visit(
                child,
                findings.Child(level.Path, key is null ? (level.Next - 1).ToString(CultureInfo.InvariantCulture) : _keys.Text(key, level.Path)),
                level.IsAttribute);
        }
    }

    private void Visit(object value, TorchPath path, bool isAttribute)
    {
        // The wrappers first: they are what they hold.
        var wrapper = value;
        value = wrappers.Inside(value);
        if (!ReferenceEquals(wrapper, value))
        {
            EnterStateOfTensor(wrapper, path, isAttribute);
        }

        EnterStateOfTensor(value, path, isAttribute);
        if (isAttribute && IsTensor(value, records))
        {
            findings.Omit(path, NoState);
            return;
        }

        switch (value)
        {
            case PickleStorageReference storage:
                tensors.Read(storage, path);
                break;
            case PickleObject record when tensors.Read(record, path):
                break;
            case PickleDictionary dictionary:
                Enter(dictionary, path, () => _entries.Distinct(dictionary.Entries, path), isAttribute);
                break;
            default:
                if (values.Plain(value, path) is { } plain)
                {
                    findings.Add(path, plain);
                }
                else
                {
                    EnterItems(value, path, isAttribute);
                }

                break;
        }
    }

    private void EnterItems(object value, TorchPath path, bool isAttribute)
    {
        switch (value)
        {
            case PickleDictionary dictionary:
                Enter(dictionary, path, () => _entries.Distinct(dictionary.Entries, path), isAttribute);
                break;
            case PickleList list:
                Enter(list, path, () => ByPosition(list.Items), isAttribute);
                break;
            case PickleTuple tuple:
                Enter(tuple, path, () => ByPosition(tuple.Items), isAttribute);
                break;
            case PickleSet set:
                Enter(set, path, () => ByPosition(set.Items), isAttribute);
                break;
            case PickleObject record when records.RoleOf(record.Global) == TorchRole.Items && record.Arguments.Items is [var items]:
                findings.Charge(ChildBytes);
                EnterItems(items, path, isAttribute);
                break;
            // What an ordered dictionary is given besides its entries is its own attributes, such as _metadata.
            case PickleObject { Global.Kind: PickleGlobalKind.Dictionary } ordered:
                Enter(ordered, path, () => _entries.Distinct(_entries.Of(ordered, path), path), isAttribute);
                break;
            case PickleObject record when StateOf(record) is { } state && TorchModule.TryRead(state, _entries, path, out var module):
                EnterModule(record, module, path, isAttribute);
                break;
            case PickleObject record:
                EnterRecord(record, path, isAttribute);
                break;
            default:
                break;
        }
    }

    // The level that is put on the stack last comes first: the state, then the attributes of the same record.
    private void EnterModule(PickleObject record, TorchModule module, TorchPath path, bool isAttribute)
    {
        var isFirst = _attributes.Add(record);
        if ((isAttribute && !isFirst) || !_above.Add(record))
        {
            return;
        }

        if (isFirst)
        {
            Push(null, path, ByKey(module.Attributes), isAttribute: true);
        }

        Push(record, path, ByKey(module.State), isAttribute);
    }

    // A record of a class that nobody here knows: its state, its items and its entries, and what it was made with where that
    // is all there is, or where tensors are among it.
    private void EnterRecord(PickleObject record, TorchPath path, bool isAttribute)
    {
        if ((record.State, record.ItemList, record.EntryList, record.NamedArguments) is (null, null, null, null)
            && record.Arguments.Items.Length > 0
            && values.Plain(record.Arguments, path) is { } plain)
        {
            // Such as PosixPath('a', 'b') or an enumeration's member, which is plain in all but its class.
            findings.Add(path, plain);
            return;
        }

        Enter(record, path, () => ChildrenOf(record, path), isAttribute);
    }

    private List<(object? Key, object Value)> ChildrenOf(PickleObject record, TorchPath path)
    {
        List<(object? Key, object Value)> children = [];
        var isPositional = false;
        switch (record.State)
        {
            // A class with slots.
            case PickleTuple { Items: [PickleDictionary or PickleNone, PickleDictionary] states }:
                foreach (var part in states.OfType<PickleDictionary>())
                {
                    children.AddRange(_entries.Distinct(part.Entries, path));
                }

                break;
            case PickleDictionary state:
                children.AddRange(_entries.Distinct(state.Entries, path));
                break;
            case PickleTuple tuple:
                (isPositional, _) = (true, AddPositions(children, tuple.Items));
                break;
            case PickleList list:
                (isPositional, _) = (true, AddPositions(children, list.Items));
                break;
            // Anything else that a class may keep of itself, such as an array.
            case { } other when _tensors.Holds(other):
                children.Add(("state", other));
                break;
            default:
                break;
        }

        isPositional |= AddPositions(children, record.Items);
        children.AddRange(_entries.Distinct(record.Entries, path));
        var isAll = children.Count == 0;
        if (record.NamedArguments is { } named && (isAll || _tensors.Holds(named)))
        {
            children.AddRange(_entries.Distinct(named.Entries, path));
        }

        if (isAll && children.Count == 0)
        {
            _ = AddPositions(children, record.Arguments.Items);
        }
        else if (_tensors.Holds(record.Arguments))
        {
            AddArguments(children, record, path, isPositional);
        }

        return children;
    }

    private void AddArguments(List<(object? Key, object Value)> children, PickleObject record, TorchPath path, bool isPositional)
    {
        findings.Charge(ChildBytes * (1L + record.Arguments.Items.Length));
        for (var i = 0; i < record.Arguments.Items.Length; i++)
        {
            if (!_tensors.Holds(record.Arguments.Items[i]))
            {
                continue;
            }

            if (isPositional)
            {
                findings.Omit(findings.Child(path, i.ToString(CultureInfo.InvariantCulture)), NoPlace);
            }
            else
            {
                children.Add(((long)i, record.Arguments.Items[i]));
            }
        }
    }

    private bool AddPositions(List<(object? Key, object Value)> children, IReadOnlyList<object> items)
    {
        // A boxed number beside the child.
        findings.Charge((ChildBytes + PickleBudget.NumberBytes) * (1L + items.Count));
        for (var i = 0; i < items.Count; i++)
        {
            children.Add(((long)i, items[i]));
        }

        return items.Count > 0;
    }

    // What was set on a tensor or parameter besides its data (x.foo = …): its state, where tensors are in it.
    private void EnterStateOfTensor(object value, TorchPath path, bool isAttribute)
    {
        if (value is PickleObject { Arguments.Items: [_, _, _, var state] } record
            && records.RoleOf(record.Global) is TorchRole.Parameter or TorchRole.TensorOfType
            && _tensors.Holds(state))
        {
            EnterItems(state, path, isAttribute);
        }
    }

    // The children are only made for what is entered.
    private void Enter(object owner, TorchPath path, Func<IReadOnlyList<(object? Key, object Value)>> children, bool isAttribute)
    {
        if ((!isAttribute || _attributes.Add(owner)) && _above.Add(owner))
        {
            Push(owner, path, children(), isAttribute);
        }
    }

    private void Push(object? owner, TorchPath path, IReadOnlyList<(object? Key, object Value)> children, bool isAttribute)
    {
        findings.Charge(LevelBytes);
        _levels.Push(new Level(owner, path, children, isAttribute));
    }

    private static bool IsTensor(object value, TorchRecord records) => value is PickleStorageReference
        || (value is PickleObject record && records.RoleOf(record.Global) is >= TorchRole.Tensor and <= TorchRole.NoData or TorchRole.Array or TorchRole.ArrayOfBuffer);

    private static PickleDictionary? StateOf(PickleObject record) => record.State switch
    {
        PickleDictionary state => state,
        PickleTuple { Items: [PickleDictionary state, PickleDictionary or PickleNone] } => state,
        _ => null,
    };

    private (object? Key, object Value)[] ByKey(IReadOnlyList<KeyValuePair<object, object>> entries)
    {
        findings.Charge(ChildBytes * (1L + entries.Count));
        var children = new (object? Key, object Value)[entries.Count];
        for (var i = 0; i < children.Length; i++)
        {
            children[i] = (entries[i].Key, entries[i].Value);
        }

        return children;
    }

    private (object? Key, object Value)[] ByPosition(IReadOnlyList<object> items)
    {
        findings.Charge(ChildBytes * (1L + items.Count));
        var children = new (object? Key, object Value)[items.Count];
        for (var i = 0; i < children.Length; i++)
        {
            children[i] = (null, items[i]);
        }

        return children;
    }

    private sealed class Level(object? owner, TorchPath path, IReadOnlyList<(object? Key, object Value)> children, bool isAttribute)
    {
        public object? Owner => owner;

        public TorchPath Path => path;

        public IReadOnlyList<(object? Key, object Value)> Children => children;

        public bool IsAttribute => isAttribute;

        public int Next { get; set; }
    }
}
