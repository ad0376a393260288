namespace IlgpuLoader.Hosting;

/// <summary>Why a load or reload ended early. Immutable.</summary>
/// <param name="Code">What is wrong, for programs: the code of a <see cref="Formats.CheckpointException"/>, or a word of <see cref="FailureCode"/>.</param>
/// <param name="Message">What is wrong, for people.</param>
/// <param name="At">When it failed.</param>
/// <param name="Attempt">Which try it was, from 1.</param>
/// <param name="NextAttemptAt">When it is tried again; null where it is not.</param>
public sealed record ModelFailure(string Code, string Message, DateTimeOffset At, int Attempt, DateTimeOffset? NextAttemptAt)
{
    /// <summary>Whether it was a reload, after which the model has its old tensors, unless they were freed first (<see cref="ReloadMode.Replace"/>).</summary>
    public bool IsReload { get; init; }
}
