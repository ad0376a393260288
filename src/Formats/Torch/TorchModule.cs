using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// The state of a pickled <c>torch.nn.Module</c>: what its <c>state_dict</c> would give, in that order, and its attributes.
/// </summary>
internal sealed class TorchModule
{
    private TorchModule(IReadOnlyList<KeyValuePair<object, object>> state, IEnumerable<KeyValuePair<object, object>> attributes)
    {
        State = state;
        Attributes = [.. attributes];
    }

    /// <summary>Own parameters, own buffers that are kept, then children, by name; nothing that is None.</summary>
    public IReadOnlyList<KeyValuePair<object, object>> State { get; }

    /// <summary>What is no part of the state: settings such as <c>kernel_size</c>.</summary>
    public IReadOnlyList<KeyValuePair<object, object>> Attributes { get; }

    /// <summary>Takes a record for a module, if its state is that of one.</summary>
    /// <param name="state">The record's state.</param>
    /// <param name="entries">Reads ordered dictionaries.</param>
    /// <param name="path">Where it is, for messages.</param>
    /// <param name="module">The module.</param>
    public static bool TryRead(PickleDictionary state, TorchEntries entries, TorchPath path, [NotNullWhen(true)] out TorchModule? module)
    {
        IReadOnlyList<KeyValuePair<object, object>>? parameters = null, buffers = null, children = null;
        HashSet<string> passing = [];
        foreach (var (key, value) in state.Entries)
        {
            switch (key)
            {
                case "_parameters":
                    parameters = EntriesOf(value, entries, path);
                    break;
                case "_buffers":
                    buffers = EntriesOf(value, entries, path);
                    break;
                case "_modules":
                    children = EntriesOf(value, entries, path);
                    break;
                case "_non_persistent_buffers_set":
                    passing = [.. ItemsOf(value).OfType<string>()];
                    break;
                default:
                    break;
            }
        }

        if (parameters is null || buffers is null || children is null)
        {
            module = null;
            return false;
        }

        module = new TorchModule(
            [
                .. parameters.Concat(buffers.Where(buffer => buffer.Key is not string name || !passing.Contains(name))).Concat(children)
                    .Where(entry => entry.Value is not PickleNone),
            ],
            // Those with an underscore are the module's own bookkeeping: hooks, and the three dictionaries.
            state.Entries.Where(entry => entry.Key is not string name || !name.StartsWith('_')));
        return true;
    }

    private static IReadOnlyList<KeyValuePair<object, object>>? EntriesOf(object value, TorchEntries entries, TorchPath path) => value switch
    {
        PickleDictionary dictionary => dictionary.Entries,
        PickleObject { Global.Kind: PickleGlobalKind.Dictionary } ordered => entries.Of(ordered, path),
        _ => null,
    };

    private static List<object> ItemsOf(object value) => value switch
    {
        PickleSet set => set.Items,
        PickleObject { Arguments.Items: [PickleList list] } => list.Items,
        _ => [],
    };
}
