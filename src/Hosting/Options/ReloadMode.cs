namespace IlgpuLoader.Hosting;

/// <summary>How the tensors of a checkpoint (<see cref="HostedLayout.Checkpoint"/>) are replaced by a reload.</summary>
public enum ReloadMode
{
    /// <summary>The new ones are loaded beside the old ones, which are leased meanwhile: takes the memory of both, and a failure costs nothing.</summary>
    Beside,

    /// <summary>The old ones are freed first: takes the memory of one, and the model cannot be leased until the new ones are there.</summary>
    Replace,
}
