using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;

namespace IlgpuLoader.Loading;

/// <summary>The weights of an opened checkpoint, whatever its format, lazily and under the names that transformers gives them.</summary>
public static class CheckpointWeights
{
    /// <summary>
    /// The weights in the order of their bytes. Of a GGUF checkpoint as the map makes them: several of one tensor where it holds several, also those that are tied to another since the
    /// file does not store them; tensors that the map does not know keep their names, those that it leaves out are not among them.
    /// </summary>
    /// <param name="checkpoint">The checkpoint; it stays open while weights are used.</param>
    /// <param name="ggufNames">The names of a GGUF checkpoint; null for those of its architecture. Not used for other formats.</param>
    /// <param name="options">How parts are read that are asked for by themselves (<see cref="Weight.MaterializeAsync"/>); null for the defaults.</param>
    /// <param name="mapsNames">Whether a GGUF's names are mapped at all; else its tensors are the weights, as they are.</param>
    /// <returns>Lazy weights, each made when it is asked for and the caller's to dispose.</returns>
    /// <exception cref="UnsupportedCheckpointException">There is no map for the GGUF's architecture, or a tensor is of an unknown type.</exception>
    /// <exception cref="InvalidCheckpointException">A transform does not fit a tensor's shape, or two weights have the same name.</exception>
    public static IEnumerable<Weight> Of(Checkpoint checkpoint, GgufNameMap? ggufNames = null, LoadOptions? options = null, bool mapsNames = true)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        if (checkpoint.UnreadableTensors is [var unreadable, ..])
        {
            throw new UnsupportedCheckpointException(
                "tensors of unknown types", unreadable.File.Path, unreadable.Reason, unreadable.File.Format, unreadable.Name);
        }

        if (!mapsNames || checkpoint.Files[0].Header is not GgufHeader header)
        {
            return checkpoint.Tensors.Select(tensor => Weight.Lazy(tensor, WithoutRoot(checkpoint, tensor.Name), null, options));
        }

        ggufNames ??= header.Architecture is { } architecture
            ? GgufNameMap.ForArchitecture(architecture, header.Metadata, null, checkpoint.Path)
            : throw new UnsupportedCheckpointException(
                "GGUF files without an architecture", checkpoint.Path, "its metadata has no general.architecture; give a map of names.", "gguf");
        var names = ggufNames.Resolve(checkpoint.Tensors.Select(tensor => KeyValuePair.Create(tensor.Name, tensor.Shape)), file: checkpoint.Path);
        return OfGguf(checkpoint, names, options);
    }

    /// <summary>A tensor's name as the model has it: training checkpoints keep the model's state below one of a few usual names.</summary>
    internal static string WithoutRoot(Checkpoint checkpoint, string name) =>
        checkpoint.WeightsRoot is { } root && name.StartsWith(root + ".", StringComparison.Ordinal) ? name[(root.Length + 1)..] : name;

    private static IEnumerable<Weight> OfGguf(Checkpoint checkpoint, NameMapping names, LoadOptions? options)
    {
        var ties = names.Ties.ToLookup(tie => tie.TiedTo, tie => tie.Name, StringComparer.Ordinal);
        var (unmapped, leftOut) = (names.Unmapped.ToHashSet(StringComparer.Ordinal), names.LeftOut.ToHashSet(StringComparer.Ordinal));
        foreach (var tensor in checkpoint.Tensors)
        {
            if (unmapped.Contains(tensor.Name))
            {
                yield return Weight.Lazy(tensor, null, null, options);
            }

            foreach (var mapped in leftOut.Contains(tensor.Name) ? [] : names.OfGguf(tensor.Name))
            {
                foreach (var name in ties[mapped.Name].Prepend(mapped.Name))
                {
                    yield return Weight.Lazy(tensor, name, mapped.Transform, options);
                }
            }
        }
    }
}
