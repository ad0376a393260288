using System.Globalization;
using System.Numerics;
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
/// <param name="findings">Takes the values, and counts the memory.</param>
internal sealed class TorchWalk(TorchRecord records, TorchTensors tensors, TorchValues values, TorchFindings findings)
{
    // What a level takes for every child that it remembers.
    private const int ChildBytes = 16;

    private const string NoState = "which are attributes of modules, but neither parameters nor buffers that are kept: state_dict leaves them out too";

    private readonly Stack<Level> _levels = [];

    // The containers that lead to where the walk is.
    private readonly HashSet<object> _above = new(ReferenceEqualityComparer.Instance);

    // What has been gone through below the attributes of modules, which often share one object of settings.
    private readonly HashSet<object> _attributes = new(ReferenceEqualityComparer.Instance);

    /// <summary>Goes through everything below a value.</summary>
    public void Run(object value)
    {
        Visit(value, TorchPath.Top, isAttribute: false);
        while (_levels.TryPeek(out var level))
        {
            if (level.Next == level.Children.Count)
            {
                _ = _levels.Pop();
                _ = level.Owner is not null && _above.Remove(level.Owner);
                continue;
            }

            var (key, child) = level.Children[level.Next++];
            Visit(child, findings.Child(level.Path, key is null ? (level.Next - 1).ToString(CultureInfo.InvariantCulture) : KeyText(key)), level.IsAttribute);
        }
    }

    /// <summary>What an ordered dictionary holds: what was set, or the pairs that Python 2 passed to its class.</summary>
    public static IReadOnlyList<KeyValuePair<object, object>> EntriesOf(PickleObject dictionary)
    {
        if (dictionary.Entries.Count > 0 || dictionary.Arguments.Items is not [var given])
        {
            return dictionary.Entries;
        }

        return given switch
        {
            PickleDictionary entries => entries.Entries,
            PickleList pairs =>
            [
                .. pairs.Items.Select(pair => pair switch
                {
                    PickleList { Items: [var key, var value] } => KeyValuePair.Create(key, value),
                    PickleTuple { Items: [var key, var value] } => KeyValuePair.Create(key, value),
                    _ => (KeyValuePair<object, object>?)null,
                }).OfType<KeyValuePair<object, object>>(),
            ],
            _ => [],
        };
    }

    private void Visit(object value, TorchPath path, bool isAttribute)
    {
        // The wrappers first: they are what they hold.
        while (value is PickleObject { Arguments.Items: [var inner, ..] } wrapper
            && records.RoleOf(wrapper.Global) is TorchRole.Parameter or TorchRole.Tagged)
        {
            value = inner;
        }

        if (isAttribute && IsTensor(value))
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
                Enter(dictionary, path, Distinct(dictionary.Entries), isAttribute);
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
            case PickleList list:
                Enter(list, path, ByPosition(list.Items), isAttribute);
                break;
            case PickleTuple tuple:
                Enter(tuple, path, ByPosition(tuple.Items), isAttribute);
                break;
            case PickleSet set:
                Enter(set, path, ByPosition(set.Items), isAttribute);
                break;
            case PickleObject record when records.RoleOf(record.Global) == TorchRole.Items && record.Arguments.Items is [var items]:
                EnterItems(items, path, isAttribute);
                break;
            // What an ordered dictionary is given besides its entries is its own attributes, such as _metadata.
            case PickleObject { Global.Kind: PickleGlobalKind.Dictionary } ordered:
                Enter(ordered, path, Distinct(EntriesOf(ordered)), isAttribute);
                break;
            case PickleObject record when StateOf(record) is { } state && TorchModule.TryRead(state, out var module):
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
    // is all there is.
    private void EnterRecord(PickleObject record, TorchPath path, bool isAttribute)
    {
        List<(object? Key, object Value)> children = [];
        if (record.State is PickleTuple { Items: [PickleDictionary or PickleNone, PickleDictionary] states })
        {
            // A class with slots.
            foreach (var state in states.OfType<PickleDictionary>())
            {
                children.AddRange(Distinct(state.Entries));
            }
        }
        else if (record.State is PickleDictionary state)
        {
            children.AddRange(Distinct(state.Entries));
        }
        else if (record.State is PickleTuple or PickleList)
        {
            children.AddRange(ByPosition(record.State is PickleTuple tuple ? tuple.Items : ((PickleList)record.State).Items));
        }

        children.AddRange(ByPosition(record.Items));
        children.AddRange(Distinct(record.Entries));
        if (children.Count == 0 && record.NamedArguments is { } named)
        {
            children.AddRange(Distinct(named.Entries));
        }

        if (children.Count == 0 && record.Arguments.Items is [_, ..] arguments)
        {
            // Such as PosixPath('a', 'b') or an enumeration's member, which is plain in all but its class.
            if (values.Plain(record.Arguments, path) is { } plain)
            {
                findings.Add(path, plain);
                return;
            }

            children.AddRange(ByPosition(arguments));
        }

        Enter(record, path, children, isAttribute);
    }

    private void Enter(object owner, TorchPath path, IReadOnlyList<(object? Key, object Value)> children, bool isAttribute)
    {
        if ((!isAttribute || _attributes.Add(owner)) && _above.Add(owner))
        {
            Push(owner, path, children, isAttribute);
        }
    }

    private void Push(object? owner, TorchPath path, IReadOnlyList<(object? Key, object Value)> children, bool isAttribute)
    {
        findings.Charge(ChildBytes * (1L + children.Count));
        _levels.Push(new Level(owner, path, children, isAttribute));
    }

    private bool IsTensor(object value) => value is PickleStorageReference
        || (value is PickleObject record && records.RoleOf(record.Global) is >= TorchRole.Tensor and <= TorchRole.NoData or TorchRole.Array or TorchRole.ArrayOfBuffer);

    private static PickleDictionary? StateOf(PickleObject record) => record.State switch
    {
        PickleDictionary state => state,
        PickleTuple { Items: [PickleDictionary state, PickleDictionary or PickleNone] } => state,
        _ => null,
    };

    private static (object? Key, object Value)[] ByKey(IReadOnlyList<KeyValuePair<object, object>> entries)
    {
        var children = new (object? Key, object Value)[entries.Count];
        for (var i = 0; i < children.Length; i++)
        {
            children[i] = (entries[i].Key, entries[i].Value);
        }

        return children;
    }

    private static (object? Key, object Value)[] ByPosition(IReadOnlyList<object> items)
    {
        var children = new (object? Key, object Value)[items.Count];
        for (var i = 0; i < children.Length; i++)
        {
            children[i] = (null, items[i]);
        }

        return children;
    }

    // In Python a key that is set again keeps its place and takes the last value.
    private static (object? Key, object Value)[] Distinct(IReadOnlyList<KeyValuePair<object, object>> entries)
    {
        var places = new Dictionary<object, int>(entries.Count, KeyComparer.Instance);
        var children = new (object? Key, object Value)[entries.Count];
        var count = 0;
        foreach (var (key, value) in entries)
        {
            if (places.TryAdd(key, count))
            {
                children[count++] = (key, value);
            }
            else
            {
                children[places[key]].Value = value;
            }
        }

        return count == children.Length ? children : children[..count];
    }

    // Integers are decimal; what else can be a key is spelled so that one sees what it is.
    private static string KeyText(object key) => key switch
    {
        string text => text,
        long number => number.ToString(CultureInfo.InvariantCulture),
        BigInteger number => number.ToString(CultureInfo.InvariantCulture),
        double number => number.ToString("R", CultureInfo.InvariantCulture),
        bool truth => truth ? "True" : "False",
        PickleNone => "None",
        byte[] bytes => Convert.ToHexString(bytes),
        PickleGlobal global => global.FullName,
        PickleTuple { Items: { Length: <= 8 } items } when !items.Any(item => item is PickleContainer) => $"({string.Join(", ", items.Select(KeyText))})",
        PickleObject record => record.Global.FullName,
        _ => "?",
    };

    // .NET's hashes of numbers are no secret: a file could choose a hundred thousand keys that collide.
    private sealed class KeyComparer : IEqualityComparer<object>
    {
        public static KeyComparer Instance { get; } = new();

        public new bool Equals(object? x, object? y) => object.Equals(x, y);

        public int GetHashCode(object obj) => obj switch
        {
            long number => HashCode.Combine(number),
            double number => HashCode.Combine(number),
            _ => obj.GetHashCode(),
        };
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
