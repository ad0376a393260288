using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// The state of a pickled <c>torch.nn.Module</c>: what its <c>state_dict</c> would give, in that order, and its attributes.
/// </summary>
internal sealed class TorchModule
{
    // What torch.nn.Module.__init__ sets, hooks for the most part, in any version; _backend until 1.1.
    private static readonly FrozenSet<string> Bookkeeping = new[]
    {
        "_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "_backend", "_compiled_call_impl", "_is_full_backward_hook",
        "_backward_hooks", "_backward_pre_hooks", "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called",
        "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs", "_state_dict_hooks", "_state_dict_pre_hooks",
        "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
    }.ToFrozenSet();

    // Where quantised modules of PyTorch's keep their weights; their state_dict gives them under these names.
    private static readonly FrozenSet<string> Packed = new[] { "_packed_params", "_packed_weight" }.ToFrozenSet();

    private TorchModule(IReadOnlyList<KeyValuePair<object, object>> state, IEnumerable<KeyValuePair<object, object>> attributes)
    {
        State = state;
        Attributes = [.. attributes];
    }

    /// <summary>Own parameters, own buffers that are kept, then children, then packed weights, by name; nothing that is None.</summary>
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
                    .Concat(state.Entries.Where(entry => IsIn(entry.Key, Packed)))
                    .Where(entry => entry.Value is not PickleNone),
            ],
            state.Entries.Where(entry => !IsIn(entry.Key, Bookkeeping) && !IsIn(entry.Key, Packed)));
        return true;
    }

    private static bool IsIn(object key, FrozenSet<string> names) => key is string name && names.Contains(name);

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
