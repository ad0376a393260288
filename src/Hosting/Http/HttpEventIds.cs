namespace IlgpuLoader.Hosting;

/// <summary>The ids of what the HTTP face logs: 5200 to 5299. Highest in use: 5207.</summary>
internal static class HttpEventIds
{
    public const int RequestFailed = 5200;
    public const int ActionAsked = 5201;
    public const int ActionFailed = 5202;
    public const int TokenFileReadByOthers = 5203;
    public const int SeriesLeftOut = 5204;
    public const int NotTold = 5205;
    public const int ShortToken = 5206;
    public const int ObservationFailed = 5207;
}
