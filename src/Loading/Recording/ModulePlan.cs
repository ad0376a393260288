using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// What goes where in a model's parameters, recorded from their loaders before a byte is read: pure data beside the model that it fills. Valid while its checkpoint is open. It is carried
/// out once, since the parameters have storage then.
/// </summary>
public sealed class ModulePlan
{
    internal ModulePlan(Module module, ModuleLoadOptions options, LoadPlan reads, long passingBytes) =>
        (Module, Options, Reads, PassingBytes) = (module, options, reads, passingBytes);

    /// <summary>The model; stays the caller's.</summary>
    public Module Module { get; }

    /// <summary>The options the plan was made with.</summary>
    public ModuleLoadOptions Options { get; }

    /// <summary>The checkpoint that is read.</summary>
    public Checkpoint Checkpoint => Reads.Checkpoint;

    /// <summary>
    /// The pieces of tensors that are read and how; several may be of one tensor. What loaders ask for that need values is read beside it (<see cref="ValueBytes"/>).
    /// </summary>
    public LoadPlan Reads { get; }

    /// <summary>The parameters in the order of the model, and what fills them.</summary>
    public ImmutableArray<PlannedParameter> Parameters { get; internal init; } = [];

    /// <summary>The parameters that are not filled, or not wholly; of optional ones those that are filled in part.</summary>
    public ImmutableArray<PlannedParameter> Missing => [.. Parameters.Where(parameter => parameter.IsMissing)];

    /// <summary>The weights that go into no parameter.</summary>
    public ImmutableArray<string> Unexpected { get; internal init; } = [];

    /// <summary>The weights that the model knows and has no use for.</summary>
    public ImmutableArray<SkippedWeight> Skipped { get; internal init; } = [];

    /// <summary>The bytes of all parameters on this rank.</summary>
    public long ParameterBytes => Parameters.Sum(parameter => parameter.ByteLength);

    /// <summary>
    /// The most bytes that pieces take at a time on the way to places where their elements do not lie side by side; 0 where there are none. A single larger one still passes.
    /// </summary>
    public long PassingBytes { get; }

    /// <summary>The stored bytes of what is read for loaders that need values, as far as is known before they run.</summary>
    public long ValueBytes { get; internal init; }

    /// <summary>How many copies are made on the device of what is read for another place: ties.</summary>
    public int RepeatedCount => Repeats.Length;

    /// <summary>How many loaders run again when values are there.</summary>
    public int ValueLoaderCount => Calls.Length;

    // The model's parameters that are filled, as Parameters lists them.
    internal ImmutableArray<(string Name, Parameter Parameter)> Entries { get; init; } = [];

    internal FrozenDictionary<int, PassingPiece> Passing { get; init; } = FrozenDictionary<int, PassingPiece>.Empty;

    internal ImmutableArray<RepeatedCopy> Repeats { get; init; } = [];

    internal ImmutableArray<RecordedFill> Fills { get; init; } = [];

    internal ImmutableArray<LoaderCall> Calls { get; init; } = [];

    /// <summary>The plan in a few lines: parameters, bytes, memory, lanes.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{Parameters.Length} parameters of {ParameterBytes} bytes to {Reads.Device.Id}, filled by {Parameters.Sum(parameter => parameter.Sources.Length)} weights");
        text.AppendLine(CultureInfo.InvariantCulture, $"read {Reads.BytesToRead} bytes in {Reads.Runs.Length} runs, {Reads.BytesNeeded} of them needed");
        if (Calls.Length > 0)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{Calls.Length} loaders need values, {ValueBytes} bytes read for them");
        }

        if (!Repeats.IsEmpty)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{Repeats.Length} places get what is read for others");
        }

        if (PassingBytes > 0)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{Passing.Count} pieces pass through at most {PassingBytes} bytes");
        }

        text.Append(CultureInfo.InvariantCulture, $"{Reads.Staging}");
        return text.ToString();
    }
}
