using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Which tensors of which files are the parts of which weight, found from the headers alone. What a file has and cannot use is left over, and carried on to the
/// next: there it takes the place of a tensor of the same name. What is left when all files are through is an error, before a weight is read.
/// </summary>
internal sealed class TorchAOAssembly
{
    private readonly Dictionary<TensorInfo, (TorchAOTensor Weight, string Field)> _parts = new(ReferenceEqualityComparer.Instance);

    /// <summary>Puts the weights together.</summary>
    /// <param name="files">The files in their order.</param>
    /// <param name="warnings">Is told of tensors whose place was taken.</param>
    /// <exception cref="InvalidCheckpointException">Metadata breaks a rule, or parts are left over.</exception>
    /// <exception cref="UnsupportedCheckpointException">A tensor is of a class that is not known.</exception>
    public TorchAOAssembly(ImmutableArray<Checkpoint> files, WarningLog warnings)
    {
        var left = new OrderedDictionary<string, TensorInfo>(StringComparer.Ordinal);
        var awaited = new Dictionary<string, TorchAOTensor>(StringComparer.Ordinal);
        foreach (var file in files)
        {
            var found = new OrderedDictionary<string, TensorInfo>(StringComparer.Ordinal);
            foreach (var tensor in file.Tensors)
            {
                found[tensor.Name] = tensor;
            }

            foreach (var (name, tensor) in left)
            {
                if (found.ContainsKey(name))
                {
                    warnings.WarnOnce($"{file.Path}: {Quoted.Name(name)} is not read, since the one of {Quoted.Name(tensor.File.Path)} was still waiting for the rest of its tensor.");
                }

                found[name] = tensor;
            }

            left = new(found, StringComparer.Ordinal);
            foreach (var weight in TorchAOTensor.ReadAll(file))
            {
                if (weight.Parts.All(part => found.ContainsKey(part.Key)))
                {
                    Add(weight, found, left, file);
                }

                foreach (var part in weight.Parts)
                {
                    awaited[part.Key] = weight;
                }
            }
        }

        if (left.Count > 0)
        {
            throw LeftOver(files, left, awaited);
        }
    }

    /// <summary>The weight that a tensor of a file is part of, and the field that it is; null where its place was taken.</summary>
    public (TorchAOTensor Weight, string Field)? Find(TensorInfo tensor) => _parts.TryGetValue(tensor, out var part) ? part : null;

    private void Add(
        TorchAOTensor weight, OrderedDictionary<string, TensorInfo> found, OrderedDictionary<string, TensorInfo> left, Checkpoint file)
    {
        foreach (var part in weight.Parts)
        {
            if (!_parts.TryAdd(found[part.Key], (weight, part.Field)))
            {
                throw new InvalidCheckpointException(
                    CheckpointErrorCode.MetadataInvalid,
                    file.Path,
                    $"its part {Quoted.Name(part.Key)} is also one of {Quoted.Name(_parts[found[part.Key]].Weight.Name)}; the names of the tensors do not tell them apart.",
                    file.Format,
                    tensor: weight.Name);
            }

            left.Remove(part.Key);
        }
    }

    private static InvalidCheckpointException LeftOver(
        ImmutableArray<Checkpoint> files, OrderedDictionary<string, TensorInfo> left, Dictionary<string, TorchAOTensor> awaited)
    {
        const int shown = 5;
        var texts = left.Take(shown).Select(part =>
        {
            var text = $"{Quoted.Name(part.Key)} of {Quoted.Name(part.Value.File.Path)}";
            return awaited.TryGetValue(part.Key, out var weight)
                ? $"{text}, which is part of {Quoted.Name(weight.Name)} and waits for "
                  + string.Join(", ", weight.Parts.Where(other => !left.ContainsKey(other.Key)).Select(other => Quoted.Name(other.Key)))
                : $"{text}, which is part of no tensor that the metadata lists";
        });
        return new InvalidCheckpointException(
            CheckpointErrorCode.MetadataInvalid,
            files[^1].Path,
            $"{left.Count} tensors are left over when all files are through: {string.Join("; ", texts)}{(left.Count > shown ? "; …" : "")}. Is a file missing?",
            files[^1].Format);
    }
}
