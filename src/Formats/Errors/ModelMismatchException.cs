using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>A checkpoint and a model do not fit: a tensor of another shape, a parameter that nothing fills, a tensor that nothing takes, a name mapped twice.</summary>
public sealed class ModelMismatchException : CheckpointException
{
    // A checkpoint of another model may have hundreds; the first few tell which, the property has all.
    private const int Shown = 5;

    /// <summary>Makes the exception.</summary>
    /// <param name="file">The checkpoint's file or folder; null where the weights come from elsewhere.</param>
    /// <param name="problems">One sentence each without its full stop, at least one: parameter, tensor, both shapes, rank.</param>
    /// <param name="advice">What to do, as a sentence; null for none.</param>
    /// <param name="innerException">What a loader threw.</param>
    public ModelMismatchException(string? file, ImmutableArray<string> problems, string? advice = null, Exception? innerException = null)
        : base(CheckpointErrorCode.ModelMismatch, file, Compose(problems, advice), innerException: innerException) =>
        Problems = problems;

    /// <summary>Every problem.</summary>
    public ImmutableArray<string> Problems { get; }

    private static string Compose(ImmutableArray<string> problems, string? advice)
    {
        var more = problems.Length > Shown ? $"; and {problems.Length - Shown} more" : "";
        return $"{string.Join("; ", problems.Take(Shown))}{more}.{(advice is null ? "" : " " + advice)}";
    }
}
