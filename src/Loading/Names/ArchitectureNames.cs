using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>The names of one architecture on both sides.</summary>
/// <param name="Key">The value of <c>general.architecture</c>, and the prefix of the architecture's metadata.</param>
/// <param name="ModelPrefix">What <c>{model}</c> stands for in the checkpoints that are published.</param>
/// <param name="Rows">The modules.</param>
/// <param name="GgufOnly">GGUF tensors that no checkpoint has: converters make them from the configuration.</param>
/// <param name="CheckpointOnly">Tensors of checkpoints that converters leave out: models compute them.</param>
/// <param name="TiedOutput">The output, and the tensor that it is where a file has no output of its own.</param>
internal sealed record ArchitectureNames(
    string Key,
    string ModelPrefix,
    ImmutableArray<NameRow> Rows,
    ImmutableArray<string> GgufOnly,
    ImmutableArray<string> CheckpointOnly,
    NameTie TiedOutput);
